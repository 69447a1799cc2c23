"""Node files do what they are for, as the programs themselves read them."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest
from render_sites import ARBITER, KEY, example, made, site, text

from vimha.site.model import Site

HAPROXY, COROSYNC = "/etc/vimha/haproxy.cfg", "/etc/corosync/corosync.conf"


def servers(of: Site, node: str) -> list[str]:
    """The nodes behind the first service in `node`'s haproxy, a backup in brackets."""
    lines = [line.split() for line in text(of, node, HAPROXY).splitlines() if line.startswith("  server ")]
    return [f"({words[1]})" if words[-1] == "backup" else words[1] for words in lines]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("warm-standby", ["(c1)", "c2", "(c3)"]), ("all-active", ["c1", "c2", "c3"]), ("active-standby", ["c2"])],
)
def test_haproxy_sends_requests_where_the_policy_runs_instances(policy: str, expected: list[str]) -> None:
    assert servers(site(f"services: {{glance-api: {{policy: {policy}}}}}"), "c2") == expected


def test_a_refusal_counts_only_where_the_others_are_backups() -> None:
    seen = {
        policy: "observe layer4" in text(site(f"services: {{glance-api: {{policy: {policy}}}}}"), "c1", HAPROXY)
        for policy in ("warm-standby", "all-active", "active-standby")
    }
    assert seen == {"warm-standby": True, "all-active": False, "active-standby": False}


def test_an_instance_listens_where_haproxy_looks_for_it() -> None:
    of = example("large")
    listens = text(of, "control-2", "/etc/vimha/glance-images.conf")
    assert "bind_host = 10.77.1.12\nbind_port = 19294\n" in listens
    assert "server control-2 10.77.1.12:19294" in text(of, "control-1", HAPROXY)


@pytest.mark.parametrize("name", ["minimal", "small", "large", "stateful"])
def test_haproxy_itself_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    if not shutil.which("haproxy", path="/usr/sbin:/usr/bin"):
        pytest.skip("haproxy is not installed")
    file = tmp_path / "haproxy.cfg"
    file.write_text(text(example(name), "control-1", HAPROXY))
    done = subprocess.run(["/usr/sbin/haproxy", "-c", "-f", file], capture_output=True, text=True, check=False)
    assert (done.returncode, "WARNING" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("name", ["minimal", "small", "large", "stateful"])
def test_corosync_itself_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    if not shutil.which("corosync", path="/usr/sbin:/usr/bin"):
        pytest.skip("corosync is not installed")
    key, file = tmp_path / "authkey", tmp_path / "corosync.conf"
    key.write_bytes(KEY)
    here = {
        "/etc/corosync/authkey": str(key),
        "name: control-1": f"name: {platform.node()}",
        "to_stderr: no": "to_stderr: yes",
    }
    conf = text(example(name), "control-1", COROSYNC)
    for ours, local in here.items():
        assert ours in conf
        conf = conf.replace(ours, local)
    file.write_text(conf)
    done = subprocess.run(["/usr/sbin/corosync", "-t", "-c", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_corosync_knows_every_node_on_both_planes_in_the_sites_order() -> None:
    lines = [line.split(": ") for line in text(example("small"), "control-1", COROSYNC).splitlines()]
    rings = [pair[1] for pair in lines if pair[0].strip() in ("nodeid", "name", "ring0_addr", "ring1_addr")]
    assert rings[:8] == ["1", "control-1", "10.77.1.11", "10.77.2.11", "2", "control-2", "10.77.1.12", "10.77.2.12"]


def test_cluster_traffic_is_encrypted_and_signed() -> None:
    conf = text(example("minimal"), "control-1", COROSYNC)
    assert "crypto_cipher: aes256" in conf and "crypto_hash: sha256" in conf


@pytest.mark.parametrize(("node", "alone"), [("", True), (ARBITER, False)])
def test_only_two_votes_need_both_nodes_at_first(node: str, alone: bool) -> None:
    conf = text(site(node=node), "c1", COROSYNC)
    assert ("two_node: 1" in conf, "wait_for_all: 1" in conf) == (alone, alone)


def test_an_arbiter_gets_no_services() -> None:
    rendered = made(site(node=ARBITER))
    assert {artefact.path for artefact in rendered.nodes["arb"]} == {COROSYNC, "/etc/corosync/authkey"}


def test_secrets_are_closed_and_only_there() -> None:
    rendered = made(site("fencing: {agent: fence_ipmilan}"))
    files = {artefact.path: artefact for artefact in rendered.nodes["c1"]}
    assert (files["/etc/corosync/authkey"].mode, files["/etc/corosync/authkey"].content) == (0o400, KEY)
    assert files["/etc/vimha/bmc-password"].mode == 0o700
    assert sum(KEY in artefact.content for artefact in files.values()) == 1


def test_the_password_script_prints_the_file(tmp_path: Path) -> None:
    secret, script = tmp_path / "bmc.password", tmp_path / "script"
    secret.write_text("s3cret\n")
    of = site(f"fencing: {{agent: fence_redfish, password_file: {secret}}}")
    script.write_text(text(of, "c1", "/etc/vimha/bmc-password"))
    assert subprocess.run(["/bin/sh", script], capture_output=True, text=True, check=True).stdout == "s3cret\n"
