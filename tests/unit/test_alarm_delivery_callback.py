"""The callback's test, credentials and the addresses that may be called: real HTTP and TLS on loopback."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from alarm_receivers import LOCAL, Handler, play
from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms.delivery import callback as callbacks
from vimha.alarms.delivery.callback import Callback, CallbackError
from vimha.alarms.delivery.delivery import check
from vimha.alarms.delivery.network import CallError, Lookup, Network
from vimha.alarms.delivery.settings import DeliverySettings, SnmpSink
from vimha.alarms.store.outbox import Notice
from vimha.alarms.subscriptions import FmSubscriptionRequest
from vimha.errors import UsageError
from vimha.lab.bmc import tls

REBUILT = Notice(1, "n1", "AlarmListRebuiltNotification", None, 0, "{}")
TAKEN = 204


@dataclass
class Site:
    """A web site that answers as it is told to, and keeps what came."""

    answers: dict[str, Handler]
    port: int = 0
    came: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path, Authorization."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.came.append((request.method, request.path, request.headers.get("Authorization", "")))
        return await self.answers[request.path](request)


@asynccontextmanager
async def served(context: ssl.SSLContext | None = None, **answers: Handler) -> AsyncIterator[Site]:
    """A site with an answer by path, without its slash."""
    site = Site({f"/{name}": answer for name, answer in answers.items()})
    app = web.Application()
    app.router.add_route("*", "/{path}", site.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await listening.start()
    site.port = listening._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield site
    finally:
        await runner.cleanup()


@asynccontextmanager
async def network(settings: DeliverySettings = LOCAL, lookup: Lookup = socket.getaddrinfo) -> AsyncIterator[Network]:
    made = Network(settings, lookup)
    try:
        yield made
    finally:
        made.close()


def answering(*statuses: int) -> Handler:
    """The statuses, one after the other; the last one for ever."""
    left = list(statuses)

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0])

    return answer


def asked(uri: str, **more: Any) -> FmSubscriptionRequest:
    return FmSubscriptionRequest.model_validate({"callbackUri": uri, **more})


async def refusal(net: Network, uri: str) -> str:
    """Why a callback does not pass its test."""
    with pytest.raises(CallbackError) as caught:
        await callbacks.test(net, asked(uri))
    assert caught.value.status == 422
    return caught.value.detail


def fake_lookup(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A resolver that gives one address after the other, as a name does that is rebound; the last one for ever."""
    left = list(addresses)

    def lookup(_: str, port: int, *__: object) -> list[tuple[Any, ...]]:
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in address.split()]

    return lookup


def test_a_callback_that_answers_passes_its_test() -> None:
    async def work() -> None:
        async with served(told=answering(TAKEN)) as site, network() as net:
            await callbacks.test(net, asked(f"http://127.0.0.1:{site.port}/told"))
            assert site.came == [("GET", "/told", "")]

    play(work())


@pytest.mark.parametrize(
    ("status", "why"),
    [(404, "404 instead of 204"), (500, "500 instead of 204"), (302, "302: a redirect, which is not followed")],
)
def test_a_callback_that_answers_something_else_does_not(status: int, why: str) -> None:
    async def work() -> None:
        async with served(told=answering(status)) as site, network() as net:
            assert why in await refusal(net, f"http://127.0.0.1:{site.port}/told")

    play(work())


def test_a_callback_that_is_away_or_silent_does_not() -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    async def work() -> None:
        async with served(told=silent) as site, network(LOCAL.model_copy(update={"answer_s": 0.2})) as net:
            assert "no answer within 0.2 s" in await refusal(net, f"http://127.0.0.1:{site.port}/told")
        async with network() as net:
            assert "Connect call failed" in await refusal(net, f"http://127.0.0.1:{site.port}/told")

    play(work())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "[::1]", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fd00:ec2::254]",
        "[fe80::1]", "224.0.0.1", "[ff02::1]", "240.0.0.1", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]",
        "[::ffff:10.1.2.3]", "[64:ff9b::a01:203]", "[2002:7f00:1::1]", "100.64.0.1", "2130706433", "0x7f.1", "127.1",
        "0177.0.0.1", "localhost", "[::127.0.0.1]", "[fec0::1]", "255.255.255.255",
    ],
)  # fmt: skip
def test_by_default_only_public_addresses_are_called(host: str) -> None:
    async def work() -> None:
        async with served(told=answering(TAKEN)) as site, network(DeliverySettings(allow_http=True)) as net:
            why = await refusal(net, f"http://{host}:{site.port}/told")
            assert "address" in why
            assert not site.came

    play(work())


def test_metadata_services_are_called_by_no_setting() -> None:
    async def work() -> None:
        settings = DeliverySettings(allow=("0.0.0.0/0", "::/0", ".test"), allow_http=True)
        async with network(settings, fake_lookup("169.254.169.254")) as net:
            for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "name.test"):
                assert "metadata service" in await refusal(net, f"http://{host}/told")

    play(work())


def test_plain_http_is_refused_unless_it_is_allowed() -> None:
    async def work() -> None:
        async with network(DeliverySettings(allow=("127.0.0.0/8",))) as net:
            assert "not an https URI" in await refusal(net, "http://127.0.0.1:1/told")

    play(work())


def test_a_name_is_judged_by_all_of_its_addresses() -> None:
    async def work() -> None:
        async with network(DeliverySettings(allow_http=True), fake_lookup("1.1.1.1 10.0.0.1")) as net:
            assert "name.test (10.0.0.1) is a private" in await refusal(net, "http://name.test/told")

    play(work())


def test_a_name_that_is_rebound_after_its_test_is_not_called() -> None:
    """Its first address is allowed, its second is not; and the connection is made to what was judged."""

    async def work() -> None:
        async with served(told=answering(TAKEN)) as site:
            async with network(LOCAL, fake_lookup("127.0.0.1", "10.0.0.1")) as net:
                request = asked(f"http://name.test:{site.port}/told")
                await callbacks.test(net, request)
                callback = Callback(net, request)
                with pytest.raises(CallError, match="not in a network"):
                    await callback.send(REBUILT)
                await callback.close()
            assert len(site.came) == 1

    play(work())


def test_an_allowed_domain_may_be_private_but_not_this_host() -> None:
    async def work() -> None:
        settings = DeliverySettings(allow=(".vnfm.test",), allow_http=True, connect_s=0.1)
        async with network(settings, fake_lookup("127.0.0.1")) as net:
            assert "this host's own" in await refusal(net, "http://a.vnfm.test/told")
        async with network(settings, fake_lookup("192.0.2.1")) as net:
            assert "not in a network or domain" in await refusal(net, "http://evil-vnfm.test/told")
            assert "not in a network" not in await refusal(net, "http://a.vnfm.test/told")

    play(work())


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_in_all_spellings(address: Any) -> None:
    from vimha.alarms.delivery.addresses import Policy

    policy = Policy((), ())
    plain = policy.refusal(str(address), str(address))
    mapped = policy.refusal(f"::ffff:{address}", "x")
    assert bool(plain) == bool(mapped)


def test_basic_credentials_are_sent_and_never_shown() -> None:
    async def work() -> None:
        async with served(told=answering(401)) as site, network() as net:
            basic = {"authType": ["BASIC"], "paramsBasic": {"userName": "us\u00e9r", "password": "geh:eim"}}
            request = asked(f"http://127.0.0.1:{site.port}/told", authentication=basic)
            with pytest.raises(CallbackError) as caught:
                await callbacks.test(net, request)
            expected = base64.b64encode("us\u00e9r:geh:eim".encode()).decode()
            assert site.came == [("GET", "/told", f"Basic {expected}")]
            assert "geh" not in caught.value.detail + repr(request)

    play(work())


def oauth(port: int) -> dict[str, Any]:
    client = {"clientId": "vim", "clientPassword": "geheim", "tokenEndpoint": f"http://127.0.0.1:{port}/token"}
    return {"authType": ["OAUTH2_CLIENT_CREDENTIALS"], "paramsOauth2ClientCredentials": client}


def tokens(life_s: float) -> Handler:
    """Tokens t1, t2 ... by the client credentials grant."""
    given: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        assert (await request.post())["grant_type"] == "client_credentials"
        given.append(f"t{len(given) + 1}")
        return web.json_response({"access_token": given[-1], "token_type": "Bearer", "expires_in": life_s})

    return answer


def test_a_token_is_asked_for_once_for_many_calls() -> None:
    async def work() -> None:
        async with served(told=answering(TAKEN), token=tokens(3600)) as site, network() as net:
            callback = Callback(net, asked(f"http://127.0.0.1:{site.port}/told", authentication=oauth(site.port)))
            await asyncio.gather(*(callback.send(REBUILT) for _ in range(5)))
            await callback.close()
            shown = base64.b64encode(b"vim:geheim").decode()
            assert site.came == [("POST", "/token", f"Basic {shown}"), *[("POST", "/told", "Bearer t1")] * 5]

    play(work())


def test_a_token_is_asked_for_anew_when_it_ended_and_once_when_it_is_refused() -> None:
    async def work() -> None:
        async with served(told=answering(TAKEN, 401, TAKEN, 401, 401), token=tokens(0.001)) as site, network() as net:
            callback = Callback(net, asked(f"http://127.0.0.1:{site.port}/told", authentication=oauth(site.port)))
            await callback.send(REBUILT)
            await asyncio.sleep(0.01)
            await callback.send(REBUILT)
            await asyncio.sleep(0.01)
            with pytest.raises(CallError, match="401"):
                await callback.send(REBUILT)
            await callback.close()
            used = [ticket for _, path, ticket in site.came if path == "/told"]
            assert used == [f"Bearer t{number}" for number in range(1, 6)]

    play(work())


@pytest.mark.parametrize("said", [b"{}", b"[]", b"no json", b'{"access_token": "a\\r\\nb"}', b'{"access_token": 1}'])
def test_what_is_no_token_is_told_without_its_words(said: bytes) -> None:
    async def nonsense(_: web.Request) -> web.StreamResponse:
        return web.Response(body=said)

    async def work() -> None:
        async with served(told=answering(TAKEN), token=nonsense) as site, network() as net:
            with pytest.raises(CallbackError, match="gave no token"):
                await callbacks.test(net, asked(f"http://127.0.0.1:{site.port}/told", authentication=oauth(site.port)))

    play(work())


def test_a_token_endpoint_is_judged_like_a_callback() -> None:
    async def work() -> None:
        async with served(told=answering(TAKEN)) as site, network() as net:
            bad = oauth(site.port)
            bad["paramsOauth2ClientCredentials"]["tokenEndpoint"] = "http://10.0.0.1/token"
            with pytest.raises(CallbackError, match=r"10\.0\.0\.1 is not in a network"):
                await callbacks.test(net, asked(f"http://127.0.0.1:{site.port}/told", authentication=bad))
            assert not site.came

    play(work())


def test_tls_is_checked_by_the_configured_authority_and_by_the_name(tmp_path: Path) -> None:
    ca = tls.make_ca(tmp_path)
    pair = tls.make_certificate(tmp_path, ca, ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    settings = DeliverySettings(allow=("127.0.0.0/8",), ca_file=ca.certificate)

    async def work() -> None:
        async with served(context, told=answering(TAKEN)) as site:
            async with network(settings, fake_lookup("127.0.0.1")) as net:
                await callbacks.test(net, asked(f"https://127.0.0.1:{site.port}/told"))
                assert "certificate" in await refusal(net, f"https://name.test:{site.port}/told")
            async with network(DeliverySettings(allow=("127.0.0.0/8",))) as net:
                assert "certificate" in await refusal(net, f"https://127.0.0.1:{site.port}/told")
            assert len(site.came) == 1

    play(work())


def test_files_that_cannot_be_used_are_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ca_file"):
        check(DeliverySettings(ca_file=tmp_path / "missing"))
    secret = tmp_path / "secret"
    sink = SnmpSink(name="oss", host="oss.test", user="vimha", secret_file=secret)
    with pytest.raises(UsageError, match="cannot be read"):
        check(DeliverySettings(snmp=(sink,)))
    secret.write_text("a\nb\n")
    secret.chmod(0o640)
    with pytest.raises(UsageError, match="others may read or change it"):
        check(DeliverySettings(snmp=(sink,)))
    secret.chmod(0o600)
    check(DeliverySettings(snmp=(sink,)))
