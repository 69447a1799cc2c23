"""What can go wrong when the alarm service is asked: by what an operator can do about it.

Invariant: each message names the service's own explanation (ProblemDetails, RFC 7807), where there is one.
"""

import ssl
from collections.abc import Iterator, Mapping

import httpx

from vimha.errors import VimhaError

HERE = "Is the service up, and is this its address? --url says another one."
TRUST = "Name the authority that signed it: --ca FILE, VIMHA_ALARMS_CA, or `ca` in the configuration."


class ClientError(VimhaError):
    """The service did not do what was asked."""


class UnreachableError(ClientError):
    """Nothing answers there, or it cannot be trusted."""


class RefusedError(ClientError):
    """The service answered with an error; `status` is HTTP's."""

    def __init__(self, message: str, remedy: str = "", status: int = 0) -> None:
        super().__init__(message, remedy)
        self.status = status


class BadRequestError(RefusedError):
    """400: what was asked for makes no sense to the service."""

    exit_code = 2


class UnauthorizedError(RefusedError):
    """401: it does not know who asks."""


class ForbiddenError(RefusedError):
    """403: who asks may not."""


class NotFoundError(RefusedError):
    """404: there is no such thing."""


class ConflictError(RefusedError):
    """409: it is so already."""


class UnavailableError(RefusedError):
    """503: it cannot now; later it can."""


KINDS: Mapping[int, tuple[type[RefusedError], str]] = {
    400: (BadRequestError, ""),
    401: (UnauthorizedError, "Give --token-file, or --user and --password-file; `vimha alarms entry` makes entries."),
    403: (ForbiddenError, "An entry of the role operator may (`vimha alarms entry NAME --role operator`)."),
    404: (NotFoundError, ""),
    409: (ConflictError, ""),
    503: (UnavailableError, "Try again in a moment."),
}
"""By status; any other is a RefusedError."""


def refusal(response: httpx.Response) -> RefusedError:
    """The error that a response, already read, tells of."""
    kind, remedy = KINDS.get(response.status_code, (RefusedError, ""))
    return kind(_detail(response), remedy, response.status_code)


def unreachable(url: str, error: httpx.HTTPError) -> UnreachableError:
    """Why nothing came from `url`."""
    remedy = HERE
    match next((each for each in _causes(error) if isinstance(each, OSError)), error):
        case httpx.TimeoutException() | TimeoutError():
            why = "no answer in time"
        case httpx.RemoteProtocolError():
            why, remedy = "it closed the connection", f"{HERE} One that speaks TLS is at https://."
        case ssl.SSLCertVerificationError() as found:
            why, remedy = f"its certificate cannot be trusted: {found.verify_message}", TRUST
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER"):
            why, remedy = "it speaks no TLS there", "Is it http:// instead of https://?"
        case ssl.SSLError() as found:
            why = f"TLS failed: {found.reason or found}"
        case OSError(strerror=str(words)):
            why = words
        case found:
            why = str(found) or type(found).__name__
    return UnreachableError(f"{url}: {why}", remedy)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _detail(response: httpx.Response) -> str:
    """The problem's own explanation; the status when there is none, as from a proxy that stands before the service."""
    try:
        said = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        said = None
    if isinstance(said, str) and said:
        return said
    return f"{response.url} answered {response.status_code} {response.reason_phrase}, and not as an alarm service does"
