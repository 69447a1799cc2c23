"""Client certificates: the subject of the one that a connection showed, for auth.py.

Invariant: the subject is of a certificate that the TLS layer verified against `client_ca`; a client that showed none
has none.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PEER = "vimha.peer"
"""The scope's key with the subject, such as `O=Example, CN=nfvo`."""
SHORT = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "localityName": "L", "stateOrProvinceName": "ST", "domainComponent": "DC",
}  # fmt: skip


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP with the peer's subject in each scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        shown, app = subject(transport.get_extra_info("peercert")), self.app
        if not shown:
            return

        async def with_peer(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, PEER: shown}, receive, send)

        self.app = with_peer


def subject(certificate: dict[str, Any] | None) -> str:
    """The subject as ssl.getpeercert() gives it, as one word; empty: none."""
    named = (certificate or {}).get("subject", ())
    return ", ".join(f"{SHORT.get(name, name)}={value}" for part in named for name, value in part)
