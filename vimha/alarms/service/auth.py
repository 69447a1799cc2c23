"""Who asks, and whether it may: before a request's body is read.

Invariant: what is not in OPEN needs a proof; reading (GET, HEAD) needs the role reader, sending events (SOUTHBOUND) the
role source, all else operator, whatever the route, so that a new route is closed until somebody opens it. Of several
proofs in one request the first in the order of `Gate.__call__` counts alone. Nothing of a proof is logged.
"""

import asyncio
import base64
import binascii
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from vimha.alarms import times
from vimha.alarms.config import Role
from vimha.alarms.service.connections import PEER
from vimha.alarms.service.context import Caller
from vimha.alarms.service.health import LIVE
from vimha.alarms.service.keystone import Keystone
from vimha.alarms.service.links import TREES, VERSION
from vimha.alarms.service.problems import ProblemError, answer
from vimha.alarms.service.users import Users

OPEN = frozenset(
    {"/healthz", LIVE, "/openapi.json", *(f"{tree}{path}/api_versions" for tree in TREES for path in ("", VERSION))}
)
READING = frozenset({"GET", "HEAD"})
SOUTHBOUND = frozenset({"/events", "/alertmanager", "/pacemaker"})
REMEMBERED_S = 60.0
"""As long a password is known to be right without scrypt's 50 ms; a change of the file ends it at once."""
MOST_REMEMBERED = 1000


def _needed(scope: Scope) -> Role:
    if scope["method"] in READING:
        return Role.READER
    return Role.SOURCE if scope["path"] in SOUTHBOUND else Role.OPERATOR


class Gate:
    """ASGI: lets in who may, and says in the scope who it is."""

    def __init__(
        self, app: ASGIApp, users: Users | None, certificates: Mapping[str, Role], keystone: Keystone | None
    ) -> None:
        self._app = app
        self._certificates = certificates
        self._keystone = keystone
        self._passwords = Passwords(users) if users else None
        self._users = users
        ways = (*(('Basic realm="vimha", charset="UTF-8"', 'Bearer realm="vimha"') if users else ()),)
        self._challenge = ", ".join([*ways, *(["Keystone"] if keystone else [])]) or "Mutual"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._caller(scope)
        except ProblemError as error:
            await answer(error.status, error.detail, error.headers)(scope, receive, send)
            return
        if caller is None:
            challenge = {"WWW-Authenticate": self._challenge}
            await answer(401, "a valid token, password or client certificate is needed", challenge)(
                scope, receive, send
            )
        elif caller.role.rank < (needed := _needed(scope)).rank:
            await answer(403, f"{caller.name} is a {caller.role}; this needs the role {needed}")(scope, receive, send)
        else:
            await self._app({**scope, "vimha.caller": caller}, receive, send)

    async def _caller(self, scope: Scope) -> Caller | None:
        headers = {name: value for name, value in scope["headers"] if name in (b"authorization", b"x-auth-token")}
        if self._keystone and (token := headers.get(b"x-auth-token")):
            return await self._keystone.caller(token.decode("latin-1"))
        if given := headers.get(b"authorization"):
            kind, _, proof = given.decode("latin-1").partition(" ")
            return await self._authorization(kind.lower(), proof.strip())
        subject = str(scope.get(PEER, ""))
        role = self._certificates.get(subject)
        return Caller(subject, role) if role else None

    async def _authorization(self, kind: str, proof: str) -> Caller | None:
        if kind == "bearer" and self._users and (found := self._users.token(proof, times.now())):
            return found
        if kind == "bearer" and self._keystone:
            return await self._keystone.caller(proof)
        return await self._passwords.caller(proof) if kind == "basic" and self._passwords else None


class Passwords:
    """HTTP basic; remembers what was right for a while, by a digest under a key that only this process has. One scrypt
    at a time: who guesses passwords holds up others that do, not the service.
    """

    def __init__(self, users: Users) -> None:
        self._users = users
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, object, Caller]] = OrderedDict()
        self._turn = asyncio.Semaphore(1)

    async def caller(self, proof: str) -> Caller | None:
        """Who gives this user-pass (RFC 7617), if it is right."""
        digest = hashlib.blake2b(proof.encode(), key=self._key).digest()
        known = self._known.get(digest)
        if known and known[0] > time.monotonic() and known[1] == self._users.version:
            return known[2]
        try:
            name, colon, password = base64.b64decode(proof, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        if not colon:
            return None
        async with self._turn:
            version = self._users.version
            found = await asyncio.to_thread(self._users.user, name, password)
        if found:
            self._known[digest] = (time.monotonic() + REMEMBERED_S, version, found)
            while len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return found
