"""TLS files as an agent looks at them before it starts a daemon: which will do, and what is said of the others."""

import grp
import os
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from resource_agents.ocf import tls
from resource_agents.ocf.agent import CONFIGURED, GENERIC, INSTALLED, OcfError
from resource_agents.ocf.system import System
from vimha.lab.bmc.tls import KeyPair, make_ca, make_certificate

NOBODY = "nobody" if os.geteuid() == 0 else ""
"""Whom the daemon runs as: somebody who may not read everything."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Files of two authorities: ca.pem and other/ca.pem, and what they have signed; in a folder that others may enter
    (pytest closes its own to them).
    """
    with tempfile.TemporaryDirectory(prefix="vimha-tls-") as name:
        yield _filled(Path(name))


def _filled(folder: Path) -> Path:
    (folder / "other").mkdir()
    ca = make_ca(folder)
    make_certificate(folder, ca, ["10.77.1.11"], "c1", member=True)
    make_certificate(folder, ca, ["10.77.1.11"], "server")
    make_certificate(folder / "other", make_ca(folder / "other"), ["10.77.1.11"], "c1", member=True)
    _expired(folder, ca)
    _openssl("pkey", "-in", "c1.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key", cwd=folder)
    for path in (folder, folder / "other"):
        path.chmod(0o755)
    for path in folder.rglob("*.key"):
        path.chmod(0o640)
        os.chown(path, -1, grp.getgrnam("nogroup").gr_gid if NOBODY else os.getegid())
    (folder / "empty.pem").touch()
    return folder


def _expired(folder: Path, ca: KeyPair) -> None:
    """old.pem: a certificate of c1.key's that was good in January 2020."""
    (folder / "index").touch()
    (folder / "serial").write_text("10\n")
    (folder / "ca.cnf").write_text(
        "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n"
        "policy = p\n[p]\ncommonName = supplied\n"
    )
    _openssl("req", "-new", "-key", "c1.key", "-subj", "/CN=c1", "-out", "old.csr", cwd=folder)
    _openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "old.csr", "-cert", str(ca.certificate), "-keyfile",
             str(ca.key), "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-out", "old.pem",
             cwd=folder)  # fmt: skip


def _openssl(*words: str, cwd: Path) -> None:
    subprocess.run(["openssl", *words], cwd=cwd, check=True, capture_output=True)


def said(folder: Path, certificate: str, key: str, ca_file: str = "ca.pem", name: str = "") -> tuple[int, str]:
    """The code and the reason that an agent ends with; (0, "") when it goes on."""
    found = {"certificate": certificate, "key": key, "ca_file": ca_file}
    try:
        tls.check(System(str(folder)), {what: f"/{file}" for what, file in found.items()}, NOBODY, name)
    except OcfError as error:
        return error.code, error.reason.replace(str(folder), "")
    return 0, ""


def test_a_member_whose_files_belong_together_may_start(folder: Path) -> None:
    assert said(folder, "c1.pem", "c1.key") == (0, "")
    assert said(folder, "c1.pem", "c1.key", name="c1") == (0, "")


def test_without_tls_nothing_is_looked_at() -> None:
    tls.check(System("/nowhere"), {"certificate": "", "key": "", "ca_file": ""}, "")


@pytest.mark.parametrize(
    ("files", "name", "reason"),
    [
        (("gone.pem", "c1.key"), "", "/gone.pem does not exist on this node"),
        (("c1.pem", "server.key"), "", "key /server.key does not belong to certificate /c1.pem"),
        (("c1.pem", "locked.key"), "", "/c1.pem with /locked.key is no certificate with its unencrypted key"),
        (("empty.pem", "c1.key"), "", "/empty.pem with /c1.key is no certificate"),
        (("c1.pem", "c1.key", "empty.pem"), "", "authority /empty.pem or certificate /c1.pem is not fit for TLS"),
        (("old.pem", "c1.key"), "", "certificate has expired: certificate /old.pem by authority /ca.pem"),
        (("c1.pem", "c1.key", "other/ca.pem"), "", "unable to get local issuer certificate: certificate /c1.pem"),
        (("server.pem", "server.key"), "", "unsuitable certificate purpose: certificate /server.pem"),
        (("c1.pem", "c1.key"), "c2", "Hostname mismatch, certificate is not valid for 'c2': certificate /c1.pem"),
    ],
)
def test_files_that_peers_would_refuse_are_this_nodes_fault(
    folder: Path, files: tuple[str, ...], name: str, reason: str
) -> None:
    code, found = said(folder, *files, name=name)
    assert code == INSTALLED
    assert found.startswith(reason)


def test_a_key_that_everybody_can_read_is_refused(folder: Path) -> None:
    key = folder / "open.key"
    key.write_bytes((folder / "c1.key").read_bytes())
    key.chmod(0o644)
    code, reason = said(folder, "c1.pem", "open.key")
    assert (code, reason) == (
        INSTALLED, "key /open.key has mode 0644, so that everybody can read it: chmod o= /open.key",
    )  # fmt: skip


def test_a_key_that_the_daemon_cannot_read_is_refused_though_the_agent_can(folder: Path) -> None:
    key = folder / "private.key"
    key.write_bytes((folder / "c1.key").read_bytes())
    key.chmod(0o600 if NOBODY else 0)
    code, reason = said(folder, "c1.pem", "private.key")
    assert code == INSTALLED
    assert reason.startswith("/private.key cannot be read by ")


def test_half_of_the_files_is_wrong_everywhere() -> None:
    with pytest.raises(OcfError, match="parameter ca_file is not an absolute path") as caught:
        tls.check(System(), {"certificate": "/c1.pem", "key": "/c1.key", "ca_file": ""}, "")
    assert caught.value.code == CONFIGURED


@contextmanager
def listener(context: ssl.SSLContext | None) -> Iterator[int]:
    """A peer's port: with `context`, one that speaks TLS; without, one that greets in plain words."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as plain:
                plain.settimeout(5)
                if context:
                    with context.wrap_socket(plain, server_side=True) as talk:
                        talk.recv(1)
                else:
                    plain.sendall(b"welcome")
                    plain.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def member(folder: Path, name: str, authority: str) -> ssl.SSLContext:
    """A peer that shows NAME.pem, and wants a certificate of `authority`'s."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    context.load_verify_locations(folder / authority)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def met(folder: Path, context: ssl.SSLContext | None, name: str = "") -> tuple[int, str]:
    files = {"certificate": str(folder / "c1.pem"), "key": str(folder / "c1.key"), "ca_file": str(folder / "ca.pem")}
    with listener(context) as port:
        try:
            tls.meet(files, "c2", ("127.0.0.1", port), 5.0, name)
        except OcfError as error:
            return error.code, error.reason.replace(str(folder), "")
    return 0, ""


def test_a_peer_of_the_same_authority_is_trusted_also_when_it_says_nothing(folder: Path) -> None:
    assert met(folder, member(folder, "c1", "ca.pem"), "c1") == (0, "")


def test_a_peer_of_another_authority_is_told(folder: Path) -> None:
    code, reason = met(folder, member(folder, "other/c1", "ca.pem"))
    assert code == INSTALLED
    assert reason.startswith(
        "TLS with c2: its certificate is refused by /ca.pem: unable to get local issuer certificate;"
    )


def test_a_peer_whose_certificate_is_out_of_date_is_told_and_may_yet_renew_it(folder: Path) -> None:
    (folder / "old.key").write_bytes((folder / "c1.key").read_bytes())
    code, reason = met(folder, member(folder, "old", "ca.pem"))
    assert code == GENERIC
    assert reason.startswith("TLS with c2: its certificate is refused by /ca.pem: certificate has expired;")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_peer_that_refuses_our_certificate_is_told(folder: Path, version: ssl.TLSVersion) -> None:
    peer = member(folder, "c1", "other/ca.pem")
    peer.maximum_version = version
    code, reason = met(folder, peer)
    assert code == INSTALLED
    assert reason.startswith("TLS with c2: it refuses /c1.pem: TLSV1_ALERT_UNKNOWN_CA;")


def test_a_peer_without_tls_is_told_and_may_yet_get_it(folder: Path) -> None:
    code, reason = met(folder, None)
    assert code == GENERIC
    assert reason.startswith("TLS with c2: it speaks none at 127.0.0.1:")


def test_nothing_is_said_of_a_peer_that_is_not_there(folder: Path) -> None:
    files = {"certificate": str(folder / "c1.pem"), "key": str(folder / "c1.key"), "ca_file": str(folder / "ca.pem")}
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    tls.meet(files, "c2", ("127.0.0.1", port), 5.0)
