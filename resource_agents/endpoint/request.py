"""HTTP as far as a health check needs it: the path that a request asks for, and an answer.

Invariant: no more than `LONGEST` bytes of a request are ever held, and an answer fits into any socket's buffer. The
reason goes into the status line too, for that is what haproxy shows of a failed check.
"""

LONGEST = 2048
GOOD = 200
UNAVAILABLE = 503
PHRASES = {GOOD: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", UNAVAILABLE: "unfit"}


def path_of(data: bytes) -> str | int | None:
    """The path that the request `data` asks for; the status code to refuse it with; None while it is not complete."""
    if b"\r\n\r\n" not in data and b"\n\n" not in data:
        return 400 if len(data) >= LONGEST else None
    words = data.split(b"\n", 1)[0].split()
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return 400
    if words[0] not in (b"GET", b"HEAD", b"OPTIONS"):
        return 405
    return words[1].split(b"?", 1)[0].decode("latin-1")


def answer(code: int, reason: str = "") -> bytes:
    """An answer that ends its connection; `reason` may hold anything."""
    phrase = "".join(c if " " <= c <= "~" else "?" for c in (reason or PHRASES[code])[:200])
    return (
        f"HTTP/1.1 {code} {phrase}\r\nContent-Type: text/plain\r\nContent-Length: {len(phrase) + 1}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n\r\n{phrase}\n"
    ).encode("ascii")
