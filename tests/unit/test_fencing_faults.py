"""fence_vimha_redfish, as the process that Pacemaker runs, against a BMC that misbehaves.

Each fault: the exit code, one clear line, inside the deadline, and no secret in it.
"""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vimha.lab.bmc import tls

ROOT = Path(__file__).parents[2]
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from fence_agents.vimha_redfish import main; main()"
PASSWORD = "s3cret-word"
SYSTEM = "/redfish/v1/Systems/7"
VERIFY_S, ANSWER_S = 1.5, 0.6
STARTUP_S = 1.5
"""The interpreter, its imports and a TLS handshake on a busy machine of two cores."""


class FakeBmc(ThreadingHTTPServer):
    """A scripted Redfish service: `fault` names how it misbehaves; `power` is the truth about its node."""

    daemon_threads = True

    def __init__(self, pair: tls.KeyPair) -> None:
        super().__init__(("127.0.0.1", 0), FakeHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.fault = ""
        self.power = True
        self.off_at = 0.0
        self.requests: list[str] = []
        self.connections = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        if self.fault == "hangs":
            time.sleep(5)
        super().finish_request(request, client_address)

    def state(self) -> str:
        if self.fault == "lies" or (self.fault == "flaps" and len(self.requests) % 2):
            return "Off"
        if self.off_at:
            return "Off" if time.monotonic() >= self.off_at else "PoweringOff"
        return "On" if self.power else "Off"


class FakeHandler(BaseHTTPRequestHandler):
    """One connection to the fake."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeBmc

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def fail(self, status: int, message: str) -> None:
        self.answer(status, json.dumps({"error": {"code": "x", "message": message}}).encode())

    def misbehave(self) -> bool:
        """Do what the fault says, if it concerns every request."""
        fault = self.server.fault
        self.server.requests.append(self.command)
        if fault == "500":
            self.fail(500, "internal\nfault")
        elif fault == "401":
            self.fail(401, f"no such password {PASSWORD}")
        elif fault == "404":
            self.fail(404, "what?")
        elif fault == "drops" or (fault == "drops once" and len(self.server.requests) == 2):
            self.close_connection = True
        elif fault == "mute":
            time.sleep(5)
        elif fault == "garbage":
            self.answer(200, b"<html>not json</html>")
        elif fault == "huge":
            self.answer(200, b"[" * (2 << 20))
        elif fault == "drips":
            self.drip()
        else:
            return False
        return True

    def drip(self) -> None:
        """An answer that never ends, and never pauses for as long as a socket's time-out."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        for _ in range(200):
            self.wfile.write(b" ")
            time.sleep(0.05)

    def do_GET(self) -> None:
        if self.misbehave():
            return
        if self.server.fault == "slow":
            time.sleep(0.2)
        if self.path == "/redfish/v1/Systems":
            members = [SYSTEM] if self.server.fault != "many systems" else [SYSTEM, SYSTEM + "1"]
            self.answer(200, json.dumps({"Members": [{"@odata.id": uri} for uri in members]}).encode())
        elif self.path == SYSTEM:
            actions = {"#ComputerSystem.Reset": {"target": "/oem/reset"}} if self.server.fault == "oem" else {}
            self.answer(200, json.dumps({"PowerState": self.server.state(), "Actions": actions}).encode())
        else:
            self.fail(404, "no such system")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.misbehave():
            return
        if self.server.fault == "oem" and self.path != "/oem/reset":
            self.fail(404, "not here")
        elif body["ResetType"] == "ForceOff" and self.server.fault == "refuses":
            self.fail(400, "ForceOff is not allowed")
        elif body["ResetType"] == "ForceOff" and not self.server.power:
            self.fail(409, "already off")
        else:
            if self.server.fault == "takes 1 s":
                self.server.off_at = time.monotonic() + 1.0
            elif self.server.fault not in ("lies", "deaf", "flaps"):
                self.server.power = body["ResetType"] == "On"
            self.answer(204, b"")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A password file, an authority and a certificate for 127.0.0.1."""
    path = tmp_path_factory.mktemp("fence")
    tls.make_certificate(path, tls.make_ca(path), ["127.0.0.1"])
    (path / "password").write_text(PASSWORD)
    (path / "password").chmod(0o600)
    return path


@pytest.fixture
def bmc(folder: Path) -> Iterator[FakeBmc]:
    server = FakeBmc(tls.KeyPair(folder / "bmc.pem", folder / "bmc.key"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.socket.close()


def fence(bmc: FakeBmc, folder: Path, action: str, **given: str) -> tuple[int, str, float]:
    """Run the agent: exit code, standard error, seconds. Asserts the deadline, and that the password stays unseen."""
    options = {
        "action": action,
        "ip": "127.0.0.1",
        "ipport": str(bmc.server_port),
        "username": "admin",
        "password_file": str(folder / "password"),
        "ssl_ca": str(folder / "ca.pem"),
        "systems_uri": SYSTEM,
        "plug": "c1",
        "power_timeout": str(VERIFY_S),
        "answer_timeout": str(ANSWER_S),
        **given,
    }
    began = time.monotonic()
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", PROGRAM],
        input="".join(f"{key}={value}\n" for key, value in options.items()),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    took = time.monotonic() - began
    assert took < VERIFY_S + 0.5 + STARTUP_S
    assert PASSWORD not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == (1 if done.returncode == 1 else 0)
    return done.returncode, done.stderr, took


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "not verified off: 127.0.0.1:PORT: HTTP 500: internal fault"),
        ("hangs", "no answer within"),
        ("mute", "no answer within"),
        ("401", "user name or password refused (HTTP 401)"),
        ("404", "no /redfish/v1/Systems/7 there (HTTP 404)"),
        ("drops", "connection closed without an answer"),
        ("garbage", "the answer is not JSON"),
        ("huge", "an answer of more than 1 MB"),
        ("drips", "the device's answer never ends"),
        ("deaf", "not verified off within 1.5 s: the BMC reports power on"),
        ("flaps", "not verified off within 1.5 s"),
        ("refuses", "the BMC reports power on; the request was refused: HTTP 400: ForceOff is not allowed"),
    ],
)
def test_off_is_never_reported_by_a_bmc_that(bmc: FakeBmc, folder: Path, fault: str, words: str) -> None:
    bmc.fault = fault
    code, err, _ = fence(bmc, folder, "off")
    assert code == 1
    assert words.replace("PORT", str(bmc.server_port)) in err
    assert err.startswith("fence_vimha_redfish: off c1: ")


def test_a_wrong_password_is_tried_once(bmc: FakeBmc, folder: Path) -> None:
    """BMCs lock accounts that are tried too often."""
    bmc.fault = "401"
    fence(bmc, folder, "off")
    assert len(bmc.requests) == 1


def test_a_bmc_that_says_off_while_the_node_is_on_is_not_believed(bmc: FakeBmc, folder: Path) -> None:
    bmc.fault = "lies"
    code, err, _ = fence(bmc, folder, "off", node_addresses="198.51.100.1 127.0.0.1")
    assert code == 1
    assert "the BMC reports power off, but 127.0.0.1 still answers" in err


def test_off_takes_two_requests_more_than_the_order_on_one_connection(bmc: FakeBmc, folder: Path) -> None:
    assert fence(bmc, folder, "off")[:2] == (0, "")
    assert bmc.requests == ["POST", "GET", "GET"]
    assert bmc.connections == 1
    assert not bmc.power
    assert fence(bmc, folder, "status")[0] == 2


def test_off_of_a_node_that_is_off_already(bmc: FakeBmc, folder: Path) -> None:
    bmc.power = False
    assert fence(bmc, folder, "off")[0] == 0


def test_a_power_off_that_takes_a_second_is_waited_for(bmc: FakeBmc, folder: Path) -> None:
    bmc.fault = "takes 1 s"
    code, _, took = fence(bmc, folder, "off")
    assert code == 0
    assert took >= 1.0


@pytest.mark.parametrize("fault", ["drops once", "slow", "oem"])
def test_off_is_reached_all_the_same_with_a_bmc_that(bmc: FakeBmc, folder: Path, fault: str) -> None:
    bmc.fault = fault
    assert fence(bmc, folder, "off", answer_timeout="1.4")[:2] == (0, "")
    assert not bmc.power


@pytest.mark.parametrize("action", ["status", "monitor", "list-status"])
def test_a_look_at_a_broken_bmc_is_an_error_not_a_state(bmc: FakeBmc, folder: Path, action: str) -> None:
    bmc.fault = "500"
    code, err, _ = fence(bmc, folder, action)
    assert code == 1
    assert "HTTP 500" in err


def test_an_untrusted_certificate_is_refused_before_the_password_leaves(bmc: FakeBmc, folder: Path) -> None:
    code, err, _ = fence(bmc, folder, "off", ssl_ca="")
    assert code == 1
    assert "certificate not trusted" in err
    assert not bmc.requests
    assert fence(bmc, folder, "off", ssl_ca="", ssl_insecure="1")[0] == 0


def test_a_certificate_for_another_address_is_refused(bmc: FakeBmc, folder: Path) -> None:
    code, err, _ = fence(bmc, folder, "status", ip="localhost")
    assert code == 1
    assert "certificate not trusted: Hostname mismatch" in err


def test_the_system_is_found_when_it_is_the_only_one_or_named_like_the_plug(bmc: FakeBmc, folder: Path) -> None:
    assert fence(bmc, folder, "status", systems_uri="")[0] == 0
    bmc.fault = "many systems"
    code, err, _ = fence(bmc, folder, "status", systems_uri="")
    assert code == 1
    assert "2 systems, none of them certain; set systems_uri" in err
    assert fence(bmc, folder, "status", systems_uri="", plug="7")[0] == 0


def test_nobody_at_the_address(bmc: FakeBmc, folder: Path) -> None:
    code, err, _ = fence(bmc, folder, "off", ipport="1")
    assert code == 1
    assert "Connection refused" in err


def test_a_reboot_that_cannot_switch_on_again_has_still_fenced(bmc: FakeBmc, folder: Path) -> None:
    assert fence(bmc, folder, "reboot")[0] == 0
    assert bmc.power
    assert bmc.requests == ["POST", "GET", "GET", "POST"]
