"""What an operator sets of delivery: the section `delivery` of the alarm service's configuration.

Invariant: no secret is in it; secrets are in files of their own that it names.
"""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from vimha.alarms.subscriptions import Filter

Network = IPv4Network | IPv6Network
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]


def _network_or_domain(value: str) -> str:
    if not value.startswith("."):
        ip_network(value)
    return value


class Part(BaseModel):
    """A part of the configuration: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sink(Part):
    """A receiver that is configured, not subscribed."""

    name: Name
    filter: Filter | None = None


class SnmpSink(Sink):
    """An SNMP manager. An inform is acknowledged, so none is lost; a trap is not: one that the network drops is gone.

    `secret_file`, mode 0600: for v2c the community in its first line; for v3 the authentication pass phrase (SHA-256)
    in its first and the privacy pass phrase (AES-128) in its second line.
    """

    host: str
    port: int = Field(162, ge=1, le=65535)
    version: Literal["2c", "3"] = "3"
    user: str = ""
    secret_file: Path
    inform: bool = True
    engine_id: str = Field("", pattern=r"^([0-9A-Fa-f]{2}){5,32}$|^$")
    """For SNMPv3 traps alone: the identifier that the manager knows their sender by (`createUser -e 0x...`), as
    hexadecimal digits; another one for each cluster."""

    @model_validator(mode="after")
    def _has_user(self) -> Self:
        if self.version == "3" and not self.user:
            raise ValueError("SNMPv3 needs a `user`")
        if self.version == "3" and not self.inform and not self.engine_id:
            raise ValueError("SNMPv3 traps need an `engine_id` that the manager knows; informs need none")
        return self


class OsloSink(Sink):
    """Notifications on OpenStack's message bus. `url_file`, mode 0600, holds oslo.messaging's transport URL
    (`rabbit://user:password@host:5672/vhost`).
    """

    url_file: Path
    ca_file: Path | None = None
    """The authorities that the broker's certificate is checked by; with it the connection is by TLS."""
    durable: bool = False
    """As `amqp_durable_queues` is where the consumers are configured: the exchange is declared alike."""
    topic: str = Field("notifications", pattern=r"^[A-Za-z0-9_.-]{1,80}$")


class DeliverySettings(Part):
    """How subscribers are called."""

    api_root: str = "/vimfm/v1"
    """What links in notifications begin with: the service's address as subscribers reach it."""
    allow: tuple[Annotated[str, AfterValidator(_network_or_domain)], ...] = ()
    """Networks (`10.20.0.0/16`) and domains (`.vnfm.example.org`) that callbacks may be in. Empty: any public address
    and no other. A domain may be at private addresses, but not at this host's own."""
    allow_http: bool = False
    """Whether a callback may be plain HTTP."""
    connect_s: float = Field(1.0, gt=0, le=30)
    answer_s: float = Field(5.0, gt=0, le=60)
    """For all of one call, its answer included."""
    in_flight: int = Field(8, ge=1, le=64)
    """Calls at once to one subscriber; for one alarm always one."""
    dead_after_s: float = Field(900.0, gt=0)
    """When one notification could not be delivered for so long, its subscriber is dead: it gets nothing until it
    answers again, and is told then to read the whole list."""
    test_every_s: float = Field(30.0, gt=0)
    """How often a dead subscriber is tried."""
    ca_file: Path | None = None
    """The authorities that subscribers' certificates are checked by; the system's when it is not set."""
    certificate: Path | None = None
    key: Path | None = None
    """What this service shows to a subscriber or a token endpoint that asks for a client certificate."""
    snmp: tuple[SnmpSink, ...] = ()
    oslo: tuple[OsloSink, ...] = ()

    @field_validator("api_root")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable() or any(each in value for each in ' "<>\\^`{|}'):
            raise ValueError("only characters of a URI may be in it")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [sink.name for sink in self.sinks]
        if len(set(names)) < len(names):
            raise ValueError("two sinks have one name")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` go together")
        return self

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """All configured receivers."""
        return (*self.snmp, *self.oslo)

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(ip_network(value) for value in self.allow if not value.startswith("."))

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(value.lower() for value in self.allow if value.startswith("."))
