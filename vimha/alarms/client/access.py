"""Where the alarm service is, and how its clients show who they are.

Invariant: no secret is in an option or in the environment: they name files, and such a file must be its owner's alone.
What is given to a command goes before the user's file; of the ways to authenticate only the nearer one's count, so that
a token from the file never stands beside a password from the command line.

    # ~/.config/vimha/alarms.yaml
    url: https://vip.example.org:8780
    ca: /etc/ssl/certs/site-ca.pem
    token_file: ~/.config/vimha/alarms.token
"""

import json
import os
import ssl
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from vimha.alarms import secret_files
from vimha.alarms.config import PORT, mistakes
from vimha.errors import UsageError
from vimha.findings import errors
from vimha.site import yamltext

AUTHENTICATION = ("token_file", "user", "password_file", "certificate", "key")


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an http or https URL such as https://vip:8780")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL has no user and password here: name a file by `token_file` or `password_file`")
    return text.rstrip("/")


def _path(path: Path) -> Path:
    return path.expanduser()


File = Annotated[Path, AfterValidator(_path)]


class Access(BaseModel):
    """One service, and who asks it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_url)] = f"http://127.0.0.1:{PORT}"
    ca: File | None = None
    """PEM: who signed the service's certificate; without it, whom this machine trusts."""
    token_file: File | None = None
    """A bearer token (the service's own, or Keystone's) in its first line."""
    user: Annotated[str, Field(min_length=1, pattern="^[^:]*$")] | None = None
    password_file: File | None = None
    certificate: File | None = None
    """PEM: the client's certificate; its key is `key`."""
    key: File | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Access":
        if (self.user is None) != (self.password_file is None):
            raise ValueError("`user` and `password_file` belong together")
        if self.user and self.token_file:
            raise ValueError("there are a token and a password; which one is it?")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` belong together")
        return self

    def auth(self) -> httpx.Auth | None:
        """What each request shows; VimhaError when a file cannot be read, or others may read it."""
        if self.token_file:
            return Bearer(first_line(self.token_file))
        if self.user and self.password_file:
            return httpx.BasicAuth(self.user, first_line(self.password_file))
        return None

    def tls(self) -> ssl.SSLContext:
        """Whom to trust, and the client's own certificate; UsageError when a file is not what it should be."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"ca {self.ca}: no PEM certificates can be read from it: {error}") from error
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                raise UsageError(f"certificate {self.certificate}, key {self.key}: cannot be used: {error}") from error
        return context


class Bearer(httpx.Auth):
    """A token that stays the same."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["Authorization"] = self._header
        yield request


def user_file() -> Path:
    """Where a user keeps what need not be said each time (XDG base directories)."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path("~/.config").expanduser()) / "vimha" / "alarms.yaml"


def resolve(given: dict[str, Any], file: Path) -> Access:
    """What was given to the command (names of Access; None: not given) over what the file says, if there is one;
    UsageError with every mistake.
    """
    given = {name: value for name, value in given.items() if value is not None}
    kept = _read(file) if file.exists() else {}
    if any(name in given for name in AUTHENTICATION):
        kept = {name: value for name, value in kept.items() if name not in AUTHENTICATION}
    try:
        return Access.model_validate({**kept, **given})
    except ValidationError as error:
        raise UsageError("; ".join(mistakes(error, yamltext.Places("the options")))) from error


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yamltext.read(file.read_text(encoding="utf-8-sig"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    if found := errors(document.findings):
        raise UsageError("\n".join(f"{each.where}: {each.message}" for each in found), found[0].remedy)
    try:
        said = Access.model_validate_json(json.dumps(document.data or {}))
    except ValidationError as error:
        raise UsageError("\n".join(mistakes(error, document.places))) from error
    return said.model_dump(exclude_unset=True)


def first_line(path: Path) -> str:
    """The secret in the first line of a file; VimhaError when others may read it, or nothing is in it."""
    lines = secret_files.lines(path)
    if not lines or not lines[0].strip():
        raise UsageError(f"{path}: its first line is empty; the secret belongs there")
    return lines[0].strip()
