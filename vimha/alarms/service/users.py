"""Who may ask, kept in files: users with passwords, and bearer tokens.

Invariant: nobody but their owner can read the files (mode 0600); they hold no secret that opens anything: of passwords
scrypt hashes, of tokens, which are random, SHA-256 digests. A change of a file holds from the next request on; one
that cannot be read changes nothing, and is logged.

    users:
      alice: {role: operator, password: "scrypt:16384:8:1:<salt>:<hash>"}
    tokens:
      pacemaker: {role: source, token: "sha256:<digest>", expires: "2027-01-01T00:00:00Z"}
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vimha.alarms import times
from vimha.alarms.config import Role, mistakes
from vimha.alarms.service.context import Caller
from vimha.errors import UsageError, VimhaError
from vimha.findings import errors
from vimha.site import yamltext

LOG = logging.getLogger(__name__)
COST = (2**14, 8, 1)
"""scrypt's n, r and p: 16 MiB and some 50 ms for each guess (RFC 7914's interactive parameters)."""
SCHEME = "scrypt:{}:{}:{}:{}:{}"
MAX_BYTES = 1 << 20


def _time(text: str) -> str:
    times.micros(text)
    return text


class User(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    password: Annotated[str, StringConstraints(pattern=r"^scrypt:\d{1,7}:\d{1,2}:\d{1,2}:[\w+/=-]+:[\w+/=-]+$")] = (
        Field(repr=False)
    )


class Token(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    token: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] = Field(repr=False)
    expires: Annotated[str, AfterValidator(_time)] | None = None


class Entries(BaseModel):
    """What the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: dict[str, User] = {}
    tokens: dict[str, Token] = {}


@dataclass(frozen=True, slots=True)
class _Stamp:
    modified_ns: int
    size: int
    inode: int
    mode: int


class Users:
    """The files at `paths`, read again when one has changed."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._stamps = [_stamp(path) for path in paths]
        self._entries = load(paths)

    def token(self, given: str, now_us: int) -> Caller | None:
        """Who has this bearer token, if it has not expired."""
        wanted = digest(given)
        found = None
        for name, token in self._current().tokens.items():
            if hmac.compare_digest(token.token, wanted):
                found = name, token
        if found is None or (found[1].expires and times.micros(found[1].expires) <= now_us):
            return None
        return Caller(found[0], found[1].role)

    def user(self, name: str, password: str) -> Caller | None:
        """Who has this name and password; takes some 50 ms, whether the name is known or not."""
        user = self._current().users.get(name)
        right = _same(user.password if user else NOBODY, password)
        return Caller(name, user.role) if user and right else None

    @property
    def version(self) -> object:
        """Another value whenever a file has changed: what was found with an old one is void."""
        self._current()
        return self._stamps

    def _current(self) -> Entries:
        try:
            stamps = [_stamp(path) for path in self._paths]
            if stamps != self._stamps:
                self._stamps = stamps
                self._entries = load(self._paths)
                LOG.info("users and tokens: read again")
        except VimhaError as error:
            LOG.error("%s; who was known before is known still", error.message)
        return self._entries


def load(paths: Sequence[Path]) -> Entries:
    """The entries of all the files; UsageError with every mistake and its line, or when two know one name."""
    users: dict[str, User] = {}
    tokens: dict[str, Token] = {}
    for path in paths:
        found = _entries(path)
        if twice := {*users, *tokens} & {*found.users, *found.tokens}:
            raise UsageError(f"{path}: {min(twice)} is in another file of users already", "Give it another name here.")
        users |= found.users
        tokens |= found.tokens
    return Entries(users=users, tokens=tokens)


def _entries(path: Path) -> Entries:
    content = _content(path)
    document = yamltext.read(content, str(path))
    if found := errors(document.findings):
        raise UsageError("\n".join(f"{each.where}: {each.message}" for each in found))
    try:
        return Entries.model_validate_json(json.dumps(document.data or {}))
    except ValidationError as error:
        raise UsageError("\n".join(mistakes(error, document.places))) from error


def hashed(password: str) -> str:
    """The entry's `password` for a password."""
    salt = secrets.token_bytes(16)
    return SCHEME.format(*COST, _text(salt), _text(_scrypt(password, salt, *COST)))


def new_token() -> tuple[str, str]:
    """A random bearer token, and the entry's `token` for it."""
    made = secrets.token_urlsafe(32)
    return made, digest(made)


def digest(token: str) -> str:
    """The entry's `token` for a token, which must be random."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


def _same(kept: str, password: str) -> bool:
    _, n, r, p, salt, right = kept.split(":")
    try:
        found = _scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
    except ValueError:
        return False
    return hmac.compare_digest(found, base64.b64decode(right))


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=1 << 26, dklen=32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = file.read(MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise UsageError(f"{path}: others may read or change it (mode {mode:o})", f"chmod 600 {path}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error


NOBODY = SCHEME.format(*COST, _text(bytes(16)), _text(bytes(32)))
"""Costs as much as a user's password, and is none's."""
