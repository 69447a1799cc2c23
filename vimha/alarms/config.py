"""The alarm service's configuration (/etc/vimha/alarms.yaml, and what is added to it): its model, and its reading.

Invariant: whatever the files hold, `load` returns settings or raises a UsageError that names every mistake with its
line. Secrets are in files of their own; the configuration names them.
"""

import json
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vimha.alarms import config_files
from vimha.alarms.config_files import Merged
from vimha.alarms.delivery.settings import DeliverySettings
from vimha.alarms.machine import Rules
from vimha.alarms.sources.settings import Cluster
from vimha.alarms.times import SECOND
from vimha.errors import UsageError

FILE = Path("/etc/vimha/alarms.yaml")
PORT = 8780


class Section(BaseModel):
    """A part of the file: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Role(StrEnum):
    """What somebody may: a reader reads, a source also sends events, an operator also acknowledges, clears, subscribes
    and sets. Each may what those before it may.
    """

    READER = "reader"
    SOURCE = "source"
    OPERATOR = "operator"

    @property
    def rank(self) -> int:
        """The higher, the more it may."""
        return list(Role).index(self)


class Listen(Section):
    """Where the service is asked. Plain HTTP beyond this host's loopback only when `plain` says so."""

    address: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = PORT
    certificate: Path | None = None
    """PEM: the server's certificate and the chain above it."""
    key: Path | None = None
    client_ca: Path | None = None
    """PEM: who signs client certificates; without it none is asked for."""
    plain: bool = False

    @model_validator(mode="after")
    def _safe(self) -> "Listen":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` belong together")
        if self.client_ca and not self.certificate:
            raise ValueError(
                "`client_ca` asks clients for certificates, which only TLS does: give `certificate` and `key`"
            )
        if not ip_address(self.address).is_loopback and not self.certificate and not self.plain:
            raise ValueError(
                f"plain HTTP on {self.address} would show tokens and passwords to the network: give `certificate` and "
                "`key`, or say `plain: true` when something in front of the service speaks TLS"
            )
        return self


class Keystone(Section):
    """Who validates the tokens of OpenStack's users; the service asks with credentials of its own."""

    auth_url: str
    username: str
    password_file: Path
    project_name: str = "service"
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    ca_file: Path | None = None
    projects: frozenset[str] = frozenset({"admin"})
    """Only tokens of these projects (in `project_domain_name`), and of the whole system, count: every tenant has the
    role reader in its own project, by implication."""
    roles: dict[str, Role] = {"admin": Role.OPERATOR, "reader": Role.READER}
    """Role name in Keystone -> what it may here; the most of all that a token has."""


class Auth(Section):
    """Who may ask; at least one way."""

    files: tuple[Path, ...] = ()
    """Users and tokens (service/users.py); mode 0600."""
    certificates: dict[str, Role] = {}
    """Subject of a client certificate, such as `O=Example, CN=nfvo` -> role."""
    keystone: Keystone | None = None

    @model_validator(mode="after")
    def _some(self) -> "Auth":
        if not (self.files or self.certificates or self.keystone):
            raise ValueError("nobody could ask: give `files`, `certificates` or `keystone`")
        return self


class Flapping(Section):
    """When an alarm is held because it flaps (alarms/machine.py, Rules); seconds."""

    changes: Annotated[int, Field(ge=1, le=1000)] = 5
    window: Annotated[float, Field(gt=0, le=86_400)] = 60
    quiet: Annotated[float, Field(gt=0, le=3600)] = 15

    @property
    def rules(self) -> Rules:
        return Rules(self.changes, round(self.window * SECOND), round(self.quiet * SECOND))


class Settings(Section):
    """The whole file."""

    auth: Auth
    store: str = "sqlite:////var/lib/vimha/alarms.db"
    """A SQLAlchemy URL: `sqlite:////path/file.db` or `mysql+pymysql://user@host/database`."""
    store_password_file: Path | None = None
    listen: Listen = Listen()
    url: str | None = None
    """What clients call this service, such as https://vip:8780; without it links are made of the address asked for."""
    flapping: Flapping = Flapping()
    delivery: DeliverySettings = DeliverySettings()
    cluster: Cluster = Cluster()

    @property
    def base_url(self) -> str:
        """The root of links that no request asked for, without a slash at the end."""
        if self.url:
            return self.url.rstrip("/")
        address = f"[{self.listen.address}]" if ":" in self.listen.address else self.listen.address
        return f"{'https' if self.listen.certificate else 'http'}://{address}:{self.listen.port}"


def load(*paths: Path) -> Settings:
    """The settings that the files at `paths` make together; UsageError with every mistake and its line."""
    return _settings(config_files.read(paths))


def parse(text: str, file: str) -> Settings:
    """The settings in `text`; `file` is what mistakes call it."""
    merged = Merged()
    config_files.add(merged, text, file)
    return _settings(merged)


def _settings(merged: Merged) -> Settings:
    try:
        return Settings.model_validate_json(json.dumps(merged.data))
    except ValidationError as error:
        raise UsageError("\n".join(mistakes(error, merged))) from error


class Placing(Protocol):
    """Where the values of a configuration are."""

    def at(self, path: tuple[str | int, ...]) -> str:
        """`file:line` of the value at `path`."""


def mistakes(error: ValidationError, places: Placing) -> list[str]:
    """What does not fit its model, each with its place in the file."""
    return [
        f"{places.at(tuple(each['loc']))}: {'.'.join(str(step) for step in each['loc']) or 'the file'}: {_said(each)}"
        for each in error.errors(include_url=False, include_input=False)
    ]


def _said(mistake: Any) -> str:
    if mistake["type"] == "extra_forbidden":
        return "unknown"
    return str(mistake["msg"]).removeprefix("Value error, ")
