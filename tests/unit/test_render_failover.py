"""A real haproxy with the rendered configuration: killing one of several instances costs at most one request.

No root: the addresses are loopback's, and the lines that need privileges are taken out.
"""

import http.client
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from render_sites import TIMINGS, site, text

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")

VIP, NODES = "127.77.1.100", ("127.77.1.11", "127.77.1.12", "127.77.1.13")
INSTANCE = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server((sys.argv[1], 19292), Answer).serve_forever()
"""
PRIVILEGED = ("user ", "group ", "log ", "stats socket ")


def get(address: str, port: int, path: str = "/") -> int:
    """The status of one request, 0 when there is none within 2 s."""
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def wait(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "not within 10 s"
        time.sleep(0.02)


@pytest.fixture
def start() -> Iterator[Callable[[list[str]], subprocess.Popen[bytes]]]:
    """Starts a process that ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(argv: list[str]) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("policy", ["warm-standby", "all-active"])
def test_killing_an_instance_costs_at_most_the_request_in_its_hands(
    policy: str, tmp_path: Path, start: Callable[[list[str]], subprocess.Popen[bytes]]
) -> None:
    conf = text(site(f"services: {{glance-api: {{policy: {policy}}}}}"), "c1", "/etc/vimha/haproxy.cfg")
    conf = conf.replace("10.77.", "127.77.").replace("127.0.0.1:8405", "127.77.1.1:8405")
    file = tmp_path / "haproxy.cfg"
    file.write_text("".join(f"{line}\n" for line in conf.splitlines() if not line.strip().startswith(PRIVILEGED)))
    first, *_ = [start([sys.executable, "-IS", "-c", INSTANCE, address]) for address in NODES]
    wait(lambda: all(get(address, 19292) == 200 for address in NODES))
    start([str(HAPROXY), "-db", "-f", str(file)])
    wait(lambda: get("127.77.1.1", 8405, "/health") == 200 and get(VIP, 9292) == 200)
    time.sleep(TIMINGS.checks.inter * 2 / 1000)
    first.kill()
    end = time.monotonic() + 1.5
    answers = []
    while time.monotonic() < end:
        answers.append(get(VIP, 9292))
        time.sleep(0.02)
    failed = [answer for answer in answers if answer != 200]
    assert len(answers) > 10 and len(failed) <= 1, failed
