"""The lab's BMC process, in its parts: configuration, chassis control, certificates, the wait for it."""

import shlex
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_power import FakePower

from vimha.errors import VimhaError
from vimha.lab.bmc import BmcConfig, Endpoint, chassis, new_password, start, tls, wait_ready
from vimha.lab.bmc.ipmi import ChassisServer, lan_configuration
from vimha.lab.bmc.switch import Switch


@pytest.fixture
def config(tmp_path: Path) -> BmcConfig:
    password = tmp_path / "password"
    password.write_text("0123456789abcdef\n")
    return BmcConfig(
        folder=tmp_path / "bmc",
        endpoints=(Endpoint("c1", "127.0.0.91"), Endpoint("c2", "127.0.0.92", 8443, 1623)),
        username="vimha",
        password_file=password,
        certificate=tmp_path / "bmc.pem",
        key=tmp_path / "bmc.key",
        netns="vh-x-bmc",
    )


def test_a_saved_configuration_is_read_back_whole_and_holds_no_password(config: BmcConfig, tmp_path: Path) -> None:
    path = tmp_path / "bmc.json"
    config.save(path)
    assert BmcConfig.load(path) == config
    assert config.password() not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "short", "a" * 17, 'quote"quote', "spa ce spa"])
def test_a_password_that_ipmi_cannot_take_is_refused(config: BmcConfig, text: str) -> None:
    config.password_file.write_text(text)
    with pytest.raises(VimhaError, match="as IPMI needs") as caught:
        config.password()
    assert not text or text not in str(caught.value)
    config.password_file.unlink()
    with pytest.raises(VimhaError, match="No such file"):
        config.password()


def test_new_passwords_are_taken_and_differ(config: BmcConfig) -> None:
    first, second = new_password(), new_password()
    assert first != second
    config.password_file.write_text(first)
    assert config.password() == first


def test_an_ipmi_sim_listens_on_its_own_address_and_asks_for_its_own_node(config: BmcConfig) -> None:
    lines = lan_configuration(config, config.endpoints[1], Path("/run/x/chassis.sock")).splitlines()
    assert "  addr 127.0.0.92 1623" in lines
    assert 'user 2 true "vimha" "0123456789abcdef" admin 10 md5' in lines
    control = next(line for line in lines if line.startswith("chassis_control"))
    assert shlex.split(shlex.split(control)[1])[-2:] == ["/run/x/chassis.sock", "c2"]


@pytest.fixture
def power() -> FakePower:
    return FakePower(["c1", "c2"])


@pytest.fixture
def switch(power: FakePower) -> Switch:
    return Switch(power, power.state)


@pytest.fixture
def socket_path(switch: Switch, tmp_path: Path) -> Path:
    path = tmp_path / "chassis.sock"
    server = ChassisServer(path, switch)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return path


def control(socket_path: Path, *words: str) -> tuple[int, str]:
    """Run the program that ipmi_sim runs."""
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", chassis.__file__, str(socket_path), *words],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_chassis_control_reads_and_switches_one_node(socket_path: Path, switch: Switch, power: FakePower) -> None:
    assert control(socket_path, "c1", "get", "power") == (0, "power:1\n")
    assert control(socket_path, "c1", "set", "power", "0")[0] == 0
    assert power.state == {"c1": False, "c2": True}
    assert control(socket_path, "c1", "get", "power") == (0, "power:0\n")
    assert control(socket_path, "c1", "set", "reset", "1")[0] == 0
    switch.off("c1")
    assert power.changes == [("c1", False), ("c1", False), ("c1", True), ("c1", False)]


def test_what_chassis_control_cannot_do_is_an_error(socket_path: Path, power: FakePower) -> None:
    assert control(socket_path, "c1", "set", "boot", "pxe")[0] == 1
    assert control(socket_path, "c9", "get", "power")[0] == 1
    assert control(socket_path, "c9", "set", "power", "0")[0] == 1
    power.broken = True
    assert control(socket_path, "c1", "set", "power", "0")[0] == 1
    assert power.state["c1"]


def test_a_machine_in_its_self_test_is_on_and_a_power_off_ends_that(power: FakePower) -> None:
    switch = Switch(power, power.state, post_s=60.0)
    switch.off("c1")
    switch.on("c1")
    assert switch.is_on("c1")
    switch.off("c1")
    assert not switch.is_on("c1")
    assert ("c1", True) not in power.changes


def test_an_off_that_came_after_an_on_has_the_last_word(switch: Switch, power: FakePower) -> None:
    power.takes = 0.4
    for change in (switch.on, switch.cycle):
        began = time.monotonic()
        change("c1")
        accepted = time.monotonic() - began
        switch.off("c1")
        assert power.changes[-2:] == [("c1", True), ("c1", False)]
        assert not switch.is_on("c1")
        assert accepted < (0.3 if change == switch.on else 0.7)


def test_a_switch_works_on_after_a_failed_change(switch: Switch, power: FakePower) -> None:
    power.broken = True
    for change in (switch.off, switch.cycle):
        with pytest.raises(OSError, match="stuck"):
            change("c1")
    switch.on("c1")
    power.broken = False
    switch.off("c1")
    assert not switch.is_on("c1")


def test_the_chassis_socket_is_for_root_only(socket_path: Path) -> None:
    assert socket_path.stat().st_mode & 0o777 == 0o600


def test_the_labs_authority_signs_every_bmcs_address(tmp_path: Path) -> None:
    ca = tls.make_ca(tmp_path)
    pair = tls.make_certificate(tmp_path, ca, ["127.0.0.91", "127.0.0.92"])
    verify = ["openssl", "verify", "-CAfile", str(ca.certificate), "-purpose", "sslserver"]
    for address in ("127.0.0.91", "127.0.0.92"):
        subprocess.run([*verify, "-verify_ip", address, str(pair.certificate)], check=True, capture_output=True)
    other = subprocess.run(
        [*verify, "-verify_ip", "127.0.0.93", str(pair.certificate)], check=False, capture_output=True
    )
    assert other.returncode != 0
    for key in (ca.key, pair.key):
        assert key.stat().st_mode & 0o777 == 0o600
    ssl.create_default_context(cafile=str(ca.certificate))


def test_a_bmc_process_that_ends_is_told_with_its_last_words(config: BmcConfig, tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start("no-such-lab-here", config, log)
    with pytest.raises(VimhaError, match="the BMC process ended: "):
        wait_ready(config, process, log, timeout_s=20)


def test_a_bmc_process_that_never_gets_ready_has_a_deadline(config: BmcConfig, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            with pytest.raises(VimhaError, match=r"not ready within 0\.1 s"):
                wait_ready(config, process, tmp_path / "log", timeout_s=0.1)
        finally:
            process.kill()
