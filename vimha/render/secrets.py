"""Keys that vimha makes: corosync's, and from it every other one.

Invariant: a key is made once per folder and never again, readable by its owner alone; two runs at the same time end
up with the same key. What is derived from it is the same at each rendering, and tells nothing of the key itself.
"""

import base64
import hashlib
import hmac
import os
import tempfile
from pathlib import Path

from vimha.errors import VimhaError

KEY_BYTES = 256
"""What corosync-keygen makes: 2048 bits (corosync-keygen(8))."""


def corosync_authkey(folder: Path) -> bytes:
    """The key in `folder`/corosync.authkey, made on first use with mode 0600.

    VimhaError when it can be read by others, is not a whole key, or the folder cannot be written.
    """
    path = folder / "corosync.authkey"
    try:
        if not path.exists():
            _make(path)
        mode, key = path.stat().st_mode & 0o777, path.read_bytes()
    except OSError as error:
        raise VimhaError(f"{path}: {error.strerror}", "Name a folder that you may write.") from error
    if mode & 0o077:
        raise VimhaError(f"{path} has mode {mode:04o}: others can read the key", f"chmod 600 {path}")
    if len(key) != KEY_BYTES:
        raise VimhaError(
            f"{path} has {len(key)} bytes, a key has {KEY_BYTES}",
            "Put the cluster's own key back, from /etc/corosync/authkey of any node; without a cluster, remove it.",
        )
    return key


def derived(key: bytes, purpose: str) -> bytes:
    """A secret of 64 hexadecimal digits for `purpose`, from the site's key (HMAC-SHA256, RFC 2104)."""
    return hmac.new(key, f"vimha {purpose}".encode(), hashlib.sha256).hexdigest().encode()


def rabbitmq_hash(password: bytes) -> str:
    """What RabbitMQ's definitions keep of `password` (rabbit_password_hashing_sha256, salted); always the same."""
    salt = hashlib.sha256(b"salt " + password).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password).digest()).decode()


def _make(path: Path) -> None:
    """A new key at `path`, unless another run was quicker: link, unlike rename, does not replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".corosync.authkey.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
