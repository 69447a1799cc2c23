"""How the sender says to a callback who it is (SubscriptionAuthentication, SOL013, 8.3.4): the Authorization header.

Invariant: what is secret is in the returned header and in requests to the token endpoint alone. A token is asked for
once however many calls wait for it, and kept until shortly before it ends.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from aiohttp import ClientSession

from vimha.alarms.delivery.network import Answer, CallError, Network
from vimha.alarms.subscriptions import Authentication, AuthType

EARLY_S = 10.0
"""A token is used until so long before its end, or for half of a shorter life."""
USUAL_S = 300.0
"""As long as a token is used whose endpoint does not say how long it is good for."""


class Credentials:
    """None at all, or a name and a password. The base of the one kind that has to be fetched."""

    def __init__(self, header: str = "") -> None:
        self._header = header

    async def header(self) -> str:
        """The Authorization header's value; empty: none is needed. CallError when it cannot be had."""
        return self._header

    def renew(self) -> bool:
        """The callback does not take it: whether another may be had."""
        return False


@dataclass(frozen=True, slots=True)
class Client:
    """What a token endpoint knows this service as; it shows its password or, when that is None, its certificate
    (RFC 8705, 2.1)."""

    endpoint: str
    id: str
    password: str | None = field(repr=False)


class Token(Credentials):
    """A bearer token by the client credentials grant (RFC 6749, 4.4). `clock` is monotonic, in seconds."""

    def __init__(
        self, network: Network, session: ClientSession, client: Client, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._network, self._session, self._client, self._clock = network, session, client, clock
        self._until = clock()
        self._lock = asyncio.Lock()

    async def header(self) -> str:
        async with self._lock:
            if self._clock() >= self._until:
                self._header, life_s = await self._fetch()
                self._until = self._clock() + max(life_s - EARLY_S, life_s / 2)
            return self._header

    def renew(self) -> bool:
        self._until = self._clock()
        return True

    async def _fetch(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        client = self._client
        if client.password is None:
            form["client_id"] = client.id
        else:
            # RFC 6749, 2.3.1: both are form-encoded before they are put together.
            headers["Authorization"] = _basic(quote(client.id, ""), quote(client.password, ""))
        return _token(
            await self._network.call(self._session, "POST", client.endpoint, headers, urlencode(form).encode())
        )


def credentials(asked: Authentication | None, network: Network, session: ClientSession) -> Credentials:
    """By the first of the ways that a subscription names."""
    if asked is None:
        return Credentials()
    first = asked.auth_type[0]
    if first is AuthType.BASIC and (basic := asked.params_basic):
        return Credentials(_basic(basic.user_name, basic.password))
    if first is AuthType.OAUTH2_CLIENT_CREDENTIALS and (client := asked.params_oauth2_client_credentials):
        return Token(network, session, Client(client.token_endpoint, client.client_id, client.client_password))
    if first is AuthType.OAUTH2_CLIENT_CERT and (shown := asked.params_oauth2_client_cert):
        return Token(network, session, Client(shown.token_endpoint, shown.client_id, None))
    raise AssertionError("Authentication sees to it that the parameters are there")


def _token(answer: Answer) -> tuple[str, float]:
    """The header and the token's life in seconds; what the endpoint said is not repeated: it may hold the token."""
    if answer.status != 200:
        raise CallError(f"its token endpoint answered {answer.status} instead of 200")
    try:
        found = json.loads(answer.body)
        token, life_s = found["access_token"], float(found.get("expires_in", USUAL_S))
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and life_s > 0):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CallError("its token endpoint gave no token of RFC 6749, 5.1") from error
    return f"Bearer {token}", life_s


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
