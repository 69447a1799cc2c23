"""What to ask for a subscription (FmSubscriptionRequest, vimha/alarms/subscriptions.py), from what an operator says.

Invariant: a secret comes from the first line of a file that only its owner may read.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vimha.alarms.client.access import first_line
from vimha.alarms.client.client import Json

ATTRIBUTES: Mapping[str, str] = {
    "severities": "perceivedSeverities",
    "types": "faultTypes",
    "hosts": "hosts",
    "objects": "managedObjects",
    "domains": "faultDomains",
    "kinds": "notificationTypes",
}
"""An operator's word for what is looked for -> the filter's."""


def subscription(
    callback: str,
    values: Mapping[str, Sequence[str] | None],
    *,
    min_severity: str | None = None,
    basic: Sequence[str] | None = None,
    oauth2: Sequence[str] | None = None,
) -> Json:
    """A request. `values` has names of ATTRIBUTES; `basic` is a user and a file, `oauth2` a token endpoint, a client
    and a file. VimhaError when a file cannot be read, or others may read it.
    """
    wanted: Json = {ATTRIBUTES[name]: list(given) for name, given in values.items() if given}
    if min_severity:
        wanted["minSeverity"] = min_severity
    shown = _authentication(basic, oauth2)
    return {"callbackUri": callback, **({"filter": wanted} if wanted else {}), **shown}


def _authentication(basic: Sequence[str] | None, oauth2: Sequence[str] | None) -> Json:
    """How the service is to say at the callback who it is (SubscriptionAuthentication)."""
    ways: Json = {}
    kinds = []
    if basic:
        kinds.append("BASIC")
        ways["paramsBasic"] = {"userName": basic[0], "password": first_line(Path(basic[1]))}
    if oauth2:
        kinds.append("OAUTH2_CLIENT_CREDENTIALS")
        ways["paramsOauth2ClientCredentials"] = {
            "tokenEndpoint": oauth2[0],
            "clientId": oauth2[1],
            "clientPassword": first_line(Path(oauth2[2])),
        }
    return {"authentication": {"authType": kinds, **ways}} if kinds else {}
