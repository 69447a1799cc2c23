"""One HTTP request, without the 36 ms that importing http.client costs.

Invariant: the whole exchange ends within its time-out, however slowly the server drips, and asks no name service:
a monitor must not fail because DNS does.
"""

import _socket
from _collections_abc import Callable


def parse_target(text: str, path: str = "/") -> tuple[str, int, str]:
    """(host, port, path) of `[http://]HOST:PORT[/path]`; `path` is used when it names none.

    HOST is an IPv4 address, an IPv6 address in brackets, or `localhost`. ValueError for anything else.
    """
    rest = text.removeprefix("http://")
    authority, slash, tail = rest.partition("/")
    host, colon, port = authority.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    family = _socket.AF_INET6 if host.startswith("[") and host.endswith("]") else _socket.AF_INET
    host = host[1:-1] if family == _socket.AF_INET6 else host
    if not (colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r} names no port: expected ADDRESS:PORT")
    if any(character <= " " or character > "~" for character in tail):
        raise ValueError(f"{text!r} has a character in its path that HTTP forbids")
    try:
        _socket.inet_pton(family, host)
    except OSError as error:
        raise ValueError(f"{text!r} has no numeric address: {host!r}") from error
    return host, int(port), slash + tail if slash else path


def parse_status(answer: bytes) -> int:
    """The status code in an HTTP answer's first line; ValueError when it is not HTTP."""
    words = answer.partition(b"\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or len(words[1]) != 3 or not words[1].isdigit():
        raise ValueError(f"not an HTTP answer: {answer[:40]!r}")
    return int(words[1])


def get_status(target: tuple[str, int, str], timeout_s: float, clock: Callable[[], float]) -> int:
    """The status code of GET for `target`. OSError: no connection or no answer in time. ValueError: not HTTP."""
    host, port, path = target
    request = f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    return parse_status(
        exchange((host, port), request, lambda answer: b"\n" in answer or len(answer) >= 1024, timeout_s, clock)
    )


def exchange(
    where: tuple[str, int], request: bytes, enough: Callable[[bytes], bool], timeout_s: float,
    clock: Callable[[], float],
) -> bytes:  # fmt: skip
    """What the numeric address and port `where` answers to `request`: until it is `enough`, or the peer has closed.

    OSError: no connection. TimeoutError: all of it took longer than `timeout_s`.
    """
    end = clock() + timeout_s
    sock = connect(*where, timeout_s)
    answer = b""
    try:
        sock.send(request)
        while not enough(answer):
            left = end - clock()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
            chunk = sock.recv(65536)
            if not chunk:
                break
            answer += chunk
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {timeout_s:.2f} s") from error
    finally:
        sock.close()
    return answer


def connect(host: str, port: int, timeout_s: float) -> _socket.socket:
    """A TCP connection to a numeric address; OSError when there is none within `timeout_s`."""
    sock = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
    try:
        sock.settimeout(max(timeout_s, 0.001))
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
