"""What the BMC process is told: a JSON file in the lab's folder, without a secret in it.

Invariant: the password itself is only in `password_file`, mode 0600.
"""

import json
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from vimha.errors import VimhaError
from vimha.files import write_atomic

_PASSWORD = re.compile(r"[A-Za-z0-9._-]{8,16}")
"""IPMI 1.5 passwords end at 16 bytes, and ipmi_sim's configuration has no escape for a quote."""


def new_password() -> str:
    """A random password that Redfish and IPMI both take: 64 bits in 16 characters."""
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Endpoint:
    """A node's BMC: where its Redfish (TCP) and its IPMI (UDP) are."""

    node: str
    address: str
    redfish_port: int = 443
    ipmi_port: int = 623

    @property
    def system(self) -> str:
        """The URI of the node's Redfish system."""
        return f"/redfish/v1/Systems/{self.node}"


@dataclass(frozen=True)
class BmcConfig:
    """The BMCs of one lab. `folder` is the process's own (made, and private); `netns` holds the addresses, empty for
    the namespace that the process is started in. `post_s`: seconds of self-test between power-on and boot."""

    folder: Path
    endpoints: tuple[Endpoint, ...]
    username: str
    password_file: Path
    certificate: Path
    key: Path
    netns: str = ""
    post_s: float = 0.0

    @property
    def ready_file(self) -> Path:
        """Exists, with the process's id, while all BMCs answer."""
        return self.folder / "ready"

    def password(self) -> str:
        """The password; VimhaError when it is missing or one that IPMI cannot take."""
        try:
            text = self.password_file.read_text().strip()
        except OSError as error:
            raise VimhaError(f"{self.password_file}: {error.strerror}") from error
        if not _PASSWORD.fullmatch(text):
            raise VimhaError(f"{self.password_file}: not 8 to 16 letters and digits, as IPMI needs")
        return text

    def save(self, path: Path) -> None:
        """Write the configuration as JSON."""
        write_atomic(path, json.dumps(asdict(self), default=str, indent=1), 0o600)

    @classmethod
    def load(cls, path: Path) -> "BmcConfig":
        """Read what `save` wrote."""
        data = json.loads(path.read_text())
        paths = {name: Path(data[name]) for name in ("folder", "password_file", "certificate", "key")}
        return cls(**{**data, **paths, "endpoints": tuple(Endpoint(**entry) for entry in data["endpoints"])})
