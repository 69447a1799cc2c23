"""A real RabbitMQ broker and the health endpoint, in a network namespace of their own."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ocf_calls import Resource, wait_until
from single_daemons import Namespace, Rabbit

pytestmark = [pytest.mark.agents, pytest.mark.usefixtures("installed")]

LISTEN = "127.0.0.1:8406"
ASK = """
import http.client
connection = http.client.HTTPConnection("127.0.0.1", 8406, timeout=5)
connection.request("GET", "/rabbitmq")
answer = connection.getresponse()
print(answer.status, answer.reason)
"""
FIT = "200 OK"


@pytest.fixture(scope="module")
def broker() -> Iterator[Rabbit]:
    with Namespace() as namespace:
        (namespace.folder / "rabbitmq.conf").write_text("management.tcp.ip = 127.0.0.1\n")
        (namespace.folder / "plugins").write_text("[rabbitmq_management].\n")
        made = Rabbit(namespace)
        made.start()
        yield made


@pytest.fixture
def health(broker: Rabbit, tmp_path: Path) -> Iterator[Resource]:
    resource = Resource(
        "health", ("ip", "netns", "exec", broker.namespace.name), listen=LISTEN, galera="", user="nobody",
        rabbitmq="127.0.0.1:5672", pid=str(tmp_path / "health.pid"),
    )  # fmt: skip
    assert resource("start").code == 0
    yield resource
    resource("stop")


def said(broker: Rabbit) -> str:
    return broker.namespace.run(["/usr/bin/python3", "-c", ASK]).out.strip()


def handshakes(broker: Rabbit) -> int:
    """How many connections the broker has noted."""
    return (broker.folder / "log" / "rabbit@localhost.log").read_text().count("accepting AMQP connection")


def test_many_looks_are_few_connections(broker: Rabbit, health: Resource) -> None:
    wait_until(lambda: said(broker) == FIT)
    before = handshakes(broker)
    looks = [said(broker) for _ in range(10)]
    assert looks == [FIT] * 10
    assert handshakes(broker) - before < len(looks)


def test_frozen_is_unfit_until_it_goes_on(broker: Rabbit, health: Resource) -> None:
    wait_until(lambda: said(broker) == FIT)
    broker.signal(signal.SIGSTOP)
    wait_until(lambda: said(broker) != FIT)
    assert said(broker).startswith("503 no answer for ")
    broker.signal(signal.SIGCONT)
    wait_until(lambda: said(broker) == FIT, 20)


def test_stopped_inside_its_living_erlang_is_unfit(broker: Rabbit, health: Resource) -> None:
    """As a broker is that pause_minority has paused: the process lives, `rabbitmq-diagnostics ping` succeeds."""
    wait_until(lambda: said(broker) == FIT)
    assert broker.namespace.run(["rabbitmqctl", "--node=rabbit@localhost", "stop_app"]).ok
    assert said(broker) == "503 Connection refused"
    assert broker.namespace.run(["rabbitmqctl", "--node=rabbit@localhost", "start_app"]).ok
    wait_until(lambda: said(broker) == FIT, 20)


def test_killed_is_unfit(broker: Rabbit, health: Resource) -> None:
    wait_until(lambda: said(broker) == FIT)
    broker.kill()
    wait_until(lambda: said(broker) == "503 Connection refused")
    broker.start()
    wait_until(lambda: said(broker) == FIT, 20)
