"""MySQL's client/server protocol as bytes: what is sent, and what an answer means. No input or output here.

Source: MariaDB's "Clients and utilities: client/server protocol" (connection, text protocol). Only what a login with
mysql_native_password or unix_socket and a text query need. ValueError: the bytes are no such packet.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LONG_PASSWORD, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH = 0x1, 0x200, 0x2000, 0x8000, 0x80000
CAPABILITIES = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH
UTF8MB4 = 45
LARGEST = 1 << 20
"""The longest answer that is taken: 1 MiB. What agents ask is answered in 1 kB."""
OK, MORE, NULL, END, ERROR = 0x00, 0x01, 0xFB, 0xFE, 0xFF
NATIVE = "mysql_native_password"


class SqlError(Exception):
    """The server said no: `code` is its error number (1045 access denied, 1040 too many connections)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"error {code}: {text}")
        self.code = code


class Greeting:
    """The server's first packet: its version, and the 20 bytes with which a password is scrambled."""

    __slots__ = ("plugin", "salt", "version")

    def __init__(self, version: str, salt: bytes, plugin: str) -> None:
        self.version = version
        self.salt = salt
        self.plugin = plugin


def parse_greeting(payload: bytes) -> Greeting:
    """The handshake packet, version 10; SqlError when the server refuses already here."""
    refuse(payload)
    version, _, rest = payload[1:].partition(b"\0")
    if payload[:1] != b"\x0a" or len(rest) < 44:
        raise ValueError(f"not a MySQL server's greeting: {payload[:40]!r}")
    tail, _, plugin = rest[31:].partition(b"\0")
    return Greeting(version.decode(errors="replace"), (rest[4:12] + tail)[:20], plugin.rstrip(b"\0").decode("latin-1"))


def login(user: str, answer: bytes, plugin: str) -> bytes:
    """The client's reply to the greeting; `answer` is what the plugin sends first."""
    head = CAPABILITIES.to_bytes(4, "little") + LARGEST.to_bytes(4, "little") + bytes([UTF8MB4]) + bytes(23)
    return head + user.encode() + b"\0" + bytes([len(answer)]) + answer + plugin.encode() + b"\0"


def native_answer(password: str, salt: bytes) -> bytes:
    """mysql_native_password: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))); nothing for no password."""
    if not password:
        return b""
    from hashlib import sha1

    once = sha1(password.encode()).digest()  # noqa: S324 (the protocol's choice)
    mask = sha1(salt + sha1(once).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


def parse_switch(payload: bytes) -> tuple[str, bytes]:
    """The plugin that the server wants to go on with, and its salt."""
    plugin, _, salt = payload[1:].partition(b"\0")
    return plugin.decode("latin-1"), salt[:20]


def refuse(payload: bytes) -> None:
    """SqlError when `payload` is an error packet; ValueError when it is empty."""
    if not payload:
        raise ValueError("an empty packet")
    if payload[0] == ERROR:
        text = payload[3:].decode(errors="replace")
        raise SqlError(int.from_bytes(payload[1:3], "little"), text[6:] if text.startswith("#") else text)


def parse_count(payload: bytes) -> int:
    """How many columns a query's answer has; 0 when it has no rows at all."""
    refuse(payload)
    if payload[0] == OK:
        return 0
    count = _number(payload, 0)[0]
    if count is None or count > 4096:
        raise ValueError(f"not an answer to a query: {payload[:40]!r}")
    return count


def is_end(payload: bytes) -> bool:
    """True for the packet behind the last column, and behind the last row."""
    return bool(payload) and payload[0] == END and len(payload) < 9


def parse_row(payload: bytes, columns: int) -> "Sequence[str]":
    """One row of the text protocol; NULL becomes an empty text."""
    refuse(payload)
    at, values = 0, []
    for _ in range(columns):
        size, at = _number(payload, at)
        if size is not None and at + size > len(payload):
            raise ValueError("a row that ends too early")
        values.append("" if size is None else payload[at : at + size].decode(errors="replace"))
        at += size or 0
    return values


def _number(payload: bytes, at: int) -> tuple[int | None, int]:
    """A length-encoded integer at `at`, None for NULL, and where the rest begins."""
    if at >= len(payload):
        raise ValueError("a row that ends too early")
    first = payload[at]
    if first < NULL:
        return first, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8, NULL: 0}.get(first)
    if size is None or at + 1 + size > len(payload):
        raise ValueError(f"not a length: {payload[at : at + 9]!r}")
    return (int.from_bytes(payload[at + 1 : at + 1 + size], "little") if size else None), at + 1 + size
