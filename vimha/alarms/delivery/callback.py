"""One subscriber's callback: tested when it subscribes, then called with notifications.

Invariant: credentials leave in the Authorization header alone; no message of an error holds them. Only 2xx counts as
taken (SOL003 wants 204); a redirect is a failure that says so. A token is asked for once, kept until it ends, and
asked for anew once when the callback says 401.
"""

from vimha.alarms.delivery.credentials import credentials
from vimha.alarms.delivery.messages import message
from vimha.alarms.delivery.network import Answer, CallError, Network
from vimha.alarms.store.outbox import Notice
from vimha.alarms.subscriptions import FmSubscriptionRequest
from vimha.errors import VimhaError

UNAUTHORIZED = 401
HEADERS = {"Content-Type": "application/json", "Accept": "application/json", "Version": "1.3.0"}


class CallbackError(VimhaError):
    """A callback did not pass its test; `status` is the HTTP status that its subscriber is answered with, `detail`
    what it is told."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


async def test(network: Network, request: FmSubscriptionRequest) -> None:
    """Ask the callback of a subscription whether it is one: GET, answered by 204 (SOL003, 7.4.5.3.2). CallbackError."""
    callback = Callback(network, request)
    try:
        await callback.test()
    except CallError as error:
        raise CallbackError(422, f"the callback did not pass its test: {error.message}") from error
    finally:
        await callback.close()


class Callback:
    """Where one subscription's notifications go, with its own pool of connections."""

    def __init__(
        self, network: Network, request: FmSubscriptionRequest, *, subscription_id: str = "", root: str = ""
    ) -> None:
        self._network, self._url = network, request.callback_uri
        self._id, self._root = subscription_id, root
        self._session = network.session()
        self._credentials = credentials(request.authentication, network, self._session)

    async def send(self, notice: Notice) -> None:
        """Deliver one notification; CallError when it was not taken."""
        self._judge(await self._call("POST", message(notice, self._id, self._root)))

    async def test(self) -> None:
        """CallError when it is no callback, or is away."""
        self._judge(await self._call("GET", None))

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()

    async def _call(self, method: str, data: bytes | None) -> Answer:
        answer = await self._network.call(self._session, method, self._url, await self._headers(), data)
        if answer.status == UNAUTHORIZED and self._credentials.renew():
            answer = await self._network.call(self._session, method, self._url, await self._headers(), data)
        return answer

    async def _headers(self) -> dict[str, str]:
        header = await self._credentials.header()
        return {**HEADERS, "Authorization": header} if header else HEADERS

    def _judge(self, answer: Answer) -> None:
        if 200 <= answer.status < 300:
            return
        if 300 <= answer.status < 400:
            raise CallError(f"it answered {answer.status}: a redirect, which is not followed")
        raise CallError(f"it answered {answer.status} instead of 204")
