"""Certificates of the lab's BMCs, its alarm service and its nodes, made by openssl.

Invariant: private keys have mode 0600 from their first byte; the authority is the lab's own and signs nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vimha.files import write_atomic
from vimha.process import checked, run

DAYS = "30"
"""A lab's life; nothing outside the lab trusts its authority."""
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
"""An elliptic key is made in 5 ms and keeps the handshake, which is on the fencing path, short."""


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key."""

    certificate: Path
    key: Path


def make_ca(folder: Path) -> KeyPair:
    """A certificate authority in `folder`: ca.pem, ca.key."""
    pair = KeyPair(folder / "ca.pem", folder / "ca.key")
    write_atomic(pair.key, "", 0o600)
    _openssl(
        ["req", "-x509", *_CURVE, "-keyout", str(pair.key), "-out", str(pair.certificate), "-days", DAYS],
        ["-subj", "/O=vimha lab/CN=vimha lab BMC authority", "-addext", "basicConstraints=critical,CA:TRUE"],
        ["-addext", "keyUsage=critical,keyCertSign"],
    )
    return pair


def make_certificate(
    folder: Path, ca: KeyPair, addresses: Iterable[str], name: str = "bmc", *, member: bool = False
) -> KeyPair:
    """One server certificate for all `addresses`, signed by `ca`, in `folder`: NAME.pem, NAME.key. A `member` of a
    cluster is its peers' client too, and is called NAME.
    """
    pair = KeyPair(folder / f"{name}.pem", folder / f"{name}.key")
    request = folder / f"{name}.csr"
    write_atomic(pair.key, "", 0o600)
    names = ",".join([*(f"IP:{address}" for address in addresses), *([f"DNS:{name}"] if member else [])])
    usage = "serverAuth,clientAuth" if member else "serverAuth"
    _openssl(
        ["req", *_CURVE, "-keyout", str(pair.key), "-out", str(request), "-subj", f"/O=vimha lab/CN=vimha lab {name}"],
        ["-addext", f"subjectAltName={names}", "-addext", f"extendedKeyUsage={usage}"],
    )
    _openssl(
        ["x509", "-req", "-in", str(request), "-CA", str(ca.certificate), "-CAkey", str(ca.key), "-CAcreateserial"],
        ["-copy_extensions", "copyall", "-days", DAYS, "-out", str(pair.certificate)],
    )
    request.unlink()
    return pair


def _openssl(*groups: list[str]) -> None:
    checked(run(["openssl", *(word for group in groups for word in group)], timeout_s=20))
