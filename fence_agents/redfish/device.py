"""One system of a Redfish service as a power switch.

Invariant: every HTTP answer is judged, the one to a POST too; every wait is bounded; one keep-alive connection.
Basic authentication, not a Redfish session: a session costs a request to open and one to close, and one that is
left behind by a killed agent uses up one of the few that a BMC allows.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from typing import Any

from fence_agents.fencing import witness
from fence_agents.fencing.errors import FenceError, NoAnswerError
from fence_agents.fencing.power import Device

SYSTEMS = "/redfish/v1/Systems"
"""The collection of systems; its URI is fixed by DMTF DSP0266."""
RESET = "/Actions/ComputerSystem.Reset"
"""Where the reset action is, below the system, in every implementation known; else the system's `Actions` tells."""
LARGEST_ANSWER = 1 << 20
"""Bytes; a ComputerSystem is 2 to 20 kB."""


def tls_context(ca_file: str, insecure: bool) -> ssl.SSLContext:
    """TLS that trusts `ca_file` alone, or the host's authorities when it is empty; `insecure` checks nothing.

    FenceError when the file is missing or holds no certificate.
    """
    if insecure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise FenceError(f"ssl_ca={ca_file}: no certificate in it") from error
    except OSError as error:
        raise FenceError(f"ssl_ca={ca_file}: {error.strerror}") from error


class RedfishSystem(Device):
    """The system at `system` of the service at `host`:`port`; an empty `system` is looked for at first use."""

    def __init__(
        self,
        host: str,
        port: int,
        login: tuple[str, str],
        context: ssl.SSLContext,
        *,
        system: str = "",
        plug: str = "",
        node_addresses: list[str] | None = None,
    ) -> None:
        self._where = f"{host}:{port}"
        self._http = http.client.HTTPSConnection(host, port, context=context)
        token = base64.b64encode(":".join(login).encode()).decode()
        self._headers = {"Authorization": f"Basic {token}", "Accept": "application/json", "OData-Version": "4.0"}
        self._system = system.rstrip("/")
        self._plug = plug
        self._reset = ""
        self._node_addresses = node_addresses or []

    def is_on(self, timeout_s: float) -> bool:
        uri = self._find(timeout_s)
        state = self._get(uri, timeout_s).get("PowerState")
        if not isinstance(state, str) or not state:
            raise NoAnswerError(f"{self._where}: {uri} has no PowerState")
        return state.lower() != "off"

    def request(self, on: bool, timeout_s: float) -> str:
        target = self._reset or self._find(timeout_s) + RESET
        status, answer = self._ask("POST", target, timeout_s, {"ResetType": "On" if on else "ForceOff"})
        if status in (404, 405) and not self._reset:
            self._reset = self._advertised_reset(timeout_s)
            return self.request(on, timeout_s)
        if status < 300:
            return ""
        return f"HTTP {status}{_reason(answer)}"

    def witness(self, timeout_s: float) -> str:
        return witness.answering(self._node_addresses, timeout_s)

    def _find(self, timeout_s: float) -> str:
        """The system's URI: given, or the service's only system, or the one that is named like the plug."""
        if not self._system:
            members = self._get(SYSTEMS, timeout_s).get("Members")
            found = [str(member["@odata.id"]).rstrip("/") for member in members or [] if _is_link(member)]
            named = [uri for uri in found if uri.rpartition("/")[2] == self._plug]
            if len(found) != 1 and len(named) != 1:
                raise FenceError(f"{self._where}: {len(found)} systems, none of them certain; set systems_uri")
            self._system = (named or found)[0]
        return self._system

    def _advertised_reset(self, timeout_s: float) -> str:
        try:
            target = self._get(self._find(timeout_s), timeout_s)["Actions"]["#ComputerSystem.Reset"]["target"]
        except (KeyError, TypeError):
            target = None
        if not isinstance(target, str) or not target.startswith("/"):
            raise FenceError(f"{self._where}: {self._system} has no reset action")
        return target

    def _get(self, uri: str, timeout_s: float) -> dict[str, Any]:
        status, answer = self._ask("GET", uri, timeout_s)
        if status == 404:
            raise FenceError(f"{self._where}: no {uri} there (HTTP 404)")
        if status >= 300:
            raise NoAnswerError(f"{self._where}: HTTP {status}{_reason(answer)}")
        try:
            data = json.loads(answer)
        except ValueError as error:
            raise NoAnswerError(f"{self._where}: the answer is not JSON") from error
        if not isinstance(data, dict):
            raise NoAnswerError(f"{self._where}: the answer is not a JSON object")
        return data

    def _ask(self, method: str, uri: str, timeout_s: float, body: dict[str, str] | None = None) -> tuple[int, bytes]:
        """One request on the kept connection; (status, body) for every status but a refused login and 5xx."""
        content = json.dumps(body) if body else None
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        try:
            self._http.timeout = timeout_s
            if self._http.sock:
                self._http.sock.settimeout(timeout_s)
            self._http.request(method, uri, content, headers)
            response = self._http.getresponse()
            answer = response.read(LARGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise _explained(error, self._where, timeout_s) from error
        if len(answer) > LARGEST_ANSWER:
            self._http.close()
            raise NoAnswerError(f"{self._where}: an answer of more than {LARGEST_ANSWER >> 20} MB")
        if response.status in (401, 403):
            raise FenceError(f"{self._where}: user name or password refused (HTTP {response.status})")
        if response.status >= 500:
            raise NoAnswerError(f"{self._where}: HTTP {response.status}{_reason(answer)}")
        return response.status, answer


def _explained(error: Exception, where: str, timeout_s: float) -> FenceError:
    """`error` in an operator's words, as the kind that says whether to ask again."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return FenceError(f"{where}: certificate not trusted: {error.verify_message}")
    if isinstance(error, TimeoutError):
        return NoAnswerError(f"{where}: no answer within {timeout_s:.3g} s")
    if isinstance(error, ssl.SSLError):
        return NoAnswerError(f"{where}: TLS failed: {error.reason or 'connection closed'}")
    if isinstance(error, http.client.RemoteDisconnected):
        return NoAnswerError(f"{where}: connection closed without an answer")
    if isinstance(error, OSError):
        return NoAnswerError(f"{where}: {error.strerror or type(error).__name__}")
    return NoAnswerError(f"{where}: the answer is not HTTP ({type(error).__name__})")


def _is_link(member: object) -> bool:
    return isinstance(member, dict) and isinstance(member.get("@odata.id"), str)


def _reason(answer: bytes) -> str:
    """The message of a Redfish error body, in one line of at most 200 characters; empty when it has none."""
    try:
        error = json.loads(answer)["error"]
        message = (error.get("@Message.ExtendedInfo") or [{}])[0].get("Message") or error["message"]
    except (ValueError, LookupError, TypeError, AttributeError):
        return ""
    return ": " + " ".join(str(message).split())[:200]
