"""Subscriptions: what a consumer may ask to be told (ETSI NFV-SOL 003, 7.5.2 and 7.5.3), and whether it is.

Invariant: pure. `wants` looks at one notification alone, so a subscription's answer never depends on what it was told
before. Hence severities are not asked of a clearing: who was told of an alarm must hear that it is over, whatever its
severity was in between; the clearing of an alarm that was never told does no harm.
"""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from vimha.alarms.words import EventType, FaultDomain, NotificationType, ProbableCause, ResourceType, Severity

LONGEST_URI = 2048
"""Characters."""
MOST_VALUES = 1000
"""Of one attribute of a filter."""
USUAL = frozenset({NotificationType.ALARM, NotificationType.CLEARED, NotificationType.REBUILT})
"""What a subscription is told that names no types."""


def _http(uri: str) -> str:
    """ValueError for what cannot be called back; addresses are judged where they are resolved (delivery)."""
    if not uri.isascii() or not uri.isprintable() or " " in uri or "\\" in uri:
        raise ValueError("only printable ASCII characters without spaces and backslashes may be in a URI")
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URI with a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("a URI here has no user, password or fragment; credentials go into `authentication`")
    parts.port  # noqa: B018  # ValueError when it is none
    return uri


Uri = Annotated[str, StringConstraints(max_length=LONGEST_URI), AfterValidator(_http)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Secret = Annotated[str, StringConstraints(max_length=4096)]
Names = Annotated[list[Name], Field(max_length=MOST_VALUES)]


class Shape(BaseModel):
    """What comes in: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class VnfProduct(Shape):
    vnf_product_name: Name
    versions: list[Mapping[str, Any]] | None = Field(None, max_length=MOST_VALUES)


class VnfProvider(Shape):
    vnf_provider: Name
    vnf_products: list[VnfProduct] | None = Field(None, max_length=MOST_VALUES)


class VnfInstances(Shape):
    """VnfInstanceSubscriptionFilter (4.4.1.5). Of these a VIM's alarms know the instance alone: it is their managed
    object; a filter by anything else matches no alarm.
    """

    vnfd_ids: Names | None = None
    vnf_products_from_providers: list[VnfProvider] | None = Field(None, max_length=MOST_VALUES)
    vnf_instance_ids: Names | None = None
    vnf_instance_names: Names | None = None


class Filter(Shape):
    """FmNotificationsFilter (7.5.3.2): all attributes must match, each by one of its values. The last five are
    vimha's.
    """

    vnf_instance_subscription_filter: VnfInstances | None = None
    notification_types: list[NotificationType] | None = Field(None, max_length=MOST_VALUES)
    faulty_resource_types: list[ResourceType] | None = Field(None, max_length=MOST_VALUES)
    perceived_severities: list[Severity] | None = Field(None, max_length=MOST_VALUES)
    event_types: list[EventType] | None = Field(None, max_length=MOST_VALUES)
    probable_causes: list[ProbableCause] | None = Field(None, max_length=MOST_VALUES)
    fault_domains: list[FaultDomain] | None = Field(None, max_length=MOST_VALUES)
    hosts: Names | None = None
    fault_types: Names | None = None
    """Exact, or with a `*` at the end: `compute.host.*`."""
    managed_objects: Names | None = None
    min_severity: Severity | None = None


class AuthType(StrEnum):
    BASIC = "BASIC"
    OAUTH2_CLIENT_CREDENTIALS = "OAUTH2_CLIENT_CREDENTIALS"
    OAUTH2_CLIENT_CERT = "OAUTH2_CLIENT_CERT"


class Basic(Shape):
    user_name: Secret
    password: Secret = Field(repr=False)


class ClientCredentials(Shape):
    client_id: Secret
    client_password: Secret = Field(repr=False)
    token_endpoint: Uri


class CertificateRef(Shape):
    type: Name
    value: Secret


class ClientCert(Shape):
    client_id: Secret
    certificate_ref: CertificateRef
    token_endpoint: Uri


class Authentication(Shape):
    """SubscriptionAuthentication (SOL013, 8.3.4): how the notifications' sender says who it is. Never shown again."""

    auth_type: list[AuthType] = Field(min_length=1, max_length=3)
    params_basic: Basic | None = None
    params_oauth2_client_credentials: ClientCredentials | None = None
    params_oauth2_client_cert: ClientCert | None = None

    @model_validator(mode="after")
    def _has_parameters(self) -> "Authentication":
        given = {
            AuthType.BASIC: self.params_basic,
            AuthType.OAUTH2_CLIENT_CREDENTIALS: self.params_oauth2_client_credentials,
            AuthType.OAUTH2_CLIENT_CERT: self.params_oauth2_client_cert,
        }
        for each in self.auth_type:
            if given[each] is None:
                raise ValueError(f"the parameters of {each} are missing")
        return self


class Verbosity(StrEnum):
    FULL = "FULL"
    SHORT = "SHORT"


class FmSubscriptionRequest(Shape):
    """What POST /subscriptions takes (7.5.2.2)."""

    filter: Filter | None = None
    callback_uri: Uri
    authentication: Authentication | None = None
    verbosity: Verbosity | None = None


class Shown(BaseModel):
    """What goes out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Link(Shown):
    href: str


class SubscriptionLinks(Shown):
    self: Link


class FmSubscription(Shown):
    """What is shown of a subscription (7.5.2.3): no credentials."""

    id: str
    filter: Filter | None = None
    callback_uri: str
    verbosity: Verbosity | None = None
    links: SubscriptionLinks = Field(alias="_links")


def digest(request: FmSubscriptionRequest) -> str:
    """What two subscriptions have in common that would be told the same, at the same place: the callback and the
    filter, whatever the order of its values; 32 hexadecimal digits.
    """
    wanted = request.filter.model_dump(mode="json", by_alias=True, exclude_none=True) if request.filter else {}
    text = json.dumps([request.callback_uri, _sorted(wanted)], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def wants(wanted: Filter | None, kind: str, body: Mapping[str, Any]) -> bool:
    """Whether a subscription with this filter is told of a notification of this kind (NotificationType). `body` is its
    alarm as in alarms/sol.py, or a node's health with its `host`; that an alarm list was rebuilt is told whatever the
    filter is.
    """
    types = USUAL if wanted is None or wanted.notification_types is None else wanted.notification_types
    if kind not in types:
        return False
    if wanted is None or kind == NotificationType.REBUILT:
        return True
    if kind == NotificationType.NODE_HEALTH:
        return _among(body["host"], wanted.hosts)
    told = Severity(body["perceivedSeverity"])
    return (
        (told is Severity.CLEARED or _severe(told, wanted))
        and _among(body["rootCauseFaultyResource"]["faultyResourceType"], wanted.faulty_resource_types)
        and _among(body["eventType"], wanted.event_types)
        and _among(body["probableCause"], wanted.probable_causes)
        and _among(body["faultDomain"], wanted.fault_domains)
        and _among(body.get("location", {}).get("host", ""), wanted.hosts)
        and _among(body["managedObjectId"], wanted.managed_objects)
        and _fault(body["faultType"], wanted.fault_types)
        and _instance(body["managedObjectId"], wanted.vnf_instance_subscription_filter)
    )


def _among(value: str, allowed: list[Any] | None) -> bool:
    return allowed is None or value in allowed


def _severe(severity: Severity, wanted: Filter) -> bool:
    enough = wanted.min_severity is None or severity.rank >= wanted.min_severity.rank
    return enough and _among(severity, wanted.perceived_severities)


def _fault(fault: str, patterns: list[str] | None) -> bool:
    if patterns is None:
        return True
    return any(fault.startswith(each[:-1]) if each.endswith("*") else fault == each for each in patterns)


def _instance(managed_object: str, wanted: VnfInstances | None) -> bool:
    """A managed object is `vm/<id>`; a consumer names it so, or by the id alone."""
    if wanted is None or wanted == VnfInstances():
        return True
    if (
        wanted.vnfd_ids is not None
        or wanted.vnf_instance_names is not None
        or wanted.vnf_products_from_providers is not None
    ):
        return False
    named = wanted.vnf_instance_ids or []
    return managed_object in named or managed_object.partition("/")[2] in named


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
    return value
