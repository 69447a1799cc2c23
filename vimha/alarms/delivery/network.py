"""The one way out to subscribers: to addresses that may be called, by TLS that is checked, with bounded answers.

Invariant: every connection, whoever named its target (a callback, a token endpoint), is made to an address that
`Policy` was asked about. A name is resolved here, all of its addresses are judged, and the connection is made to one of
these; so a name that changes its address between a test and a call gains nothing. TLS checks the certificate against
the name. Redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, ConnectionTimeoutError, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from vimha.alarms.delivery.addresses import Policy
from vimha.alarms.delivery.settings import DeliverySettings
from vimha.errors import UsageError, VimhaError

MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read: a token is some KiB, a callback's answer has none."""
RESOLVERS = 32
"""Names that are looked up at once: one whose servers do not answer holds a thread."""
KEPT_S = 15.0
"""As long an idle connection is kept."""
LONGEST_WORDS = 200

Lookup = Callable[..., list[tuple[Any, ...]]]
"""As socket.getaddrinfo."""


class CallError(VimhaError):
    """A subscriber, or its token endpoint, could not be called or did not answer as it should; the message holds no
    secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a called one said; the first MOST_ANSWER bytes of it."""

    status: int
    body: bytes


class Network:
    """What all sessions share. Made in a running event loop."""

    def __init__(self, settings: DeliverySettings, lookup: Lookup = socket.getaddrinfo) -> None:
        self._settings = settings
        self._policy = Policy(settings.networks, settings.domains)
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(RESOLVERS, "resolve")
        self._tls = tls_context(settings)

    def session(self) -> ClientSession:
        """A pool of connections for one subscriber; to be closed by whoever asked for it."""
        connector = TCPConnector(
            limit=self._settings.in_flight, ssl=self._tls, keepalive_timeout=KEPT_S,
            resolver=Resolver(self._policy, self._lookup, self._threads),
        )  # fmt: skip
        timeout = ClientTimeout(total=self._settings.answer_s, sock_connect=self._settings.connect_s)
        return ClientSession(
            connector=connector, timeout=timeout, cookie_jar=DummyCookieJar(), auto_decompress=False,
            headers={"User-Agent": "vimha"},
        )  # fmt: skip

    async def call(
        self, session: ClientSession, method: str, url: str, headers: Mapping[str, str], data: bytes | None = None
    ) -> Answer:
        """Do one request; CallError when there is no answer in time, or the target may not be called."""
        target = URL(url, encoded=True)
        if target.scheme != "https" and not self._settings.allow_http:
            raise CallError(f"{target.host}: not an https URI", "Have it called by https, or set `allow_http`.")
        if why := self._literal_refusal(target.host or ""):
            raise CallError(why)
        try:
            async with session.request(method, target, headers=headers, data=data, allow_redirects=False) as response:
                return Answer(response.status, await _bounded(response.content.readany))
        except ConnectionTimeoutError as error:
            raise CallError(f"{target.host}: no connection within {self._settings.connect_s:g} s") from error
        except TimeoutError as error:
            raise CallError(f"{target.host}: no answer within {self._settings.answer_s:g} s") from error
        except (ClientError, OSError, ValueError) as error:
            raise CallError(f"{target.host}: {_words(error)}") from error

    def _literal_refusal(self, host: str) -> str:
        """A name is judged where it is resolved (Resolver); an address is not resolved, so it is judged here."""
        try:
            ip_address(host.partition("%")[0])
        except ValueError:
            return ""
        return self._policy.refusal(host, host)

    def close(self) -> None:
        """Let the threads go; lookups that hang end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Resolver(AbstractResolver):
    """Looks names up and refuses those with an address that may not be called."""

    def __init__(self, policy: Policy, lookup: Lookup, threads: ThreadPoolExecutor) -> None:
        self._policy, self._lookup, self._threads = policy, lookup, threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`; OSError when there is none, or one of them may not be called."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._lookup, host, port, family, socket.SOCK_STREAM)
        for *_, address in found:
            if why := self._policy.refusal(address[0], host):
                raise PermissionError(why)
        return [
            ResolveResult(
                hostname=host, host=address[0], port=address[1], family=family, proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, protocol, _, address in found
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is held."""


async def _bounded(read: Callable[[], Awaitable[bytes]]) -> bytes:
    """What `read` gives until it gives nothing, at most MOST_ANSWER bytes; the rest is left unread."""
    found = bytearray()
    while len(found) < MOST_ANSWER and (piece := await read()):
        found += piece
    return bytes(found[:MOST_ANSWER])


def _words(error: Exception) -> str:
    """What went wrong, in one line; the other side may have chosen the words."""
    inner = getattr(error, "os_error", None) or error
    words = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return "".join(each if each.isprintable() else " " for each in str(words))[:LONGEST_WORDS]


def tls_context(settings: DeliverySettings) -> ssl.SSLContext:
    """How certificates are checked and which is shown; UsageError when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate is not None:
            context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"delivery: ca_file, certificate or key cannot be used: {error}") from error
    return context
