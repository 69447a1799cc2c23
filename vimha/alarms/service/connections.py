"""Connections: what HTTP's parser leaves open, and the subject of a client certificate, for auth.py.

Invariant: the subject is of a certificate that the TLS layer verified against `client_ca`; a client that showed none
has none. A request's head is at most MOST_HEAD bytes and comes within HEAD_S; what is no HTTP is a ProblemDetails too.
"""

import asyncio
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vimha.alarms.service.problems import answer

PEER = "vimha.peer"
"""The scope's key with the subject, such as `O=Example, CN=nfvo`."""
MOST_HEAD = 64 * 1024
HEAD_S = 10.0
SHORT = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "localityName": "L", "stateOrProvinceName": "ST", "domainComponent": "DC",
}  # fmt: skip


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP with these bounds, and the peer's subject in each scope."""

    _head: int | None = None
    """Bytes of a head that is not complete; None: none has begun."""
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()
        shown, app = subject(transport.get_extra_info("peercert")), self.app
        if not shown:
            return

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, PEER: shown}, receive, send)

        self.app = with_peer

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head is not None and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._refuse(431, f"a request's head may have {MOST_HEAD} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_came()
        self._await_head()
        self._head = 0

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no HTTP request")

    def _await_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_S, self._refuse, 408, f"no request came within {HEAD_S:g} s")

    def _head_came(self) -> None:
        self._head = None
        if self._patience is not None:
            self._patience.cancel()

    def _refuse(self, status: int, detail: str) -> None:
        if not self.transport.is_closing():
            self.transport.write(_raw(answer(status, detail, {"Connection": "close"})))
            self.transport.close()


def subject(certificate: dict[str, Any] | None) -> str:
    """The subject as ssl.getpeercert() gives it, as one word; empty: none."""
    named = (certificate or {}).get("subject", ())
    return ", ".join(f"{SHORT.get(name, name)}={value}" for part in named for name, value in part)


def _raw(response: Response) -> bytes:
    head = b"".join(name + b": " + value + b"\r\n" for name, value in response.raw_headers)
    return b"HTTP/1.1 %d \r\n%s\r\n%s" % (response.status_code, head, response.body)
