"""Alarms on OpenStack's message bus: oslo.messaging to a real RabbitMQ that is killed and started again."""

import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from single_daemons import Daemon, Namespace, Rabbit, until

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.model import Event
from vimha.alarms.store.store import Store
from vimha.alarms.words import Severity
from vimha.files import write_atomic

pytestmark = pytest.mark.agents
READ = """
import json, pika
channel = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1")).channel()
found = []
while True:
    method, _, body = channel.basic_get("notifications.info", auto_ack=True)
    if method is None:
        break
    found.append(json.loads(body))
print(json.dumps(found))
"""


class Node(Daemon):
    """A process that delivers, in the broker's namespace."""

    def argv(self) -> list[str]:
        program = str(Path(__file__).with_name("alarm_sink_node.py"))
        return [sys.executable, program, f"sqlite:///{self.folder}/alarms.db", str(self.folder / "url")]


@pytest.fixture
def rabbit(root_user: None) -> Iterator[Rabbit]:
    with Namespace() as namespace:
        daemon = Rabbit(namespace)
        daemon.start()
        yield daemon


def read(rabbit: Rabbit) -> list[dict[str, Any]]:
    """What waits in the queue; it is taken out."""
    answer = rabbit.namespace.run([sys.executable, "-c", READ])
    return list(json.loads(answer.out)) if answer.ok else []


def observe(store: Store, severity: Severity) -> None:
    known = definitions()["control.service.failed"]
    event = Event(str(uuid.uuid4()), known, "service/galera/n1", severity, times.now())
    store.submit([event]).result(30)


def test_alarms_are_on_the_bus_in_order_and_none_is_lost_when_the_broker_dies(rabbit: Rabbit) -> None:
    write_atomic(rabbit.folder / "url", "rabbit://guest:guest@127.0.0.1:5672/\n", 0o600)
    store = Store.open(f"sqlite:///{rabbit.folder}/alarms.db")
    node, found = Node(rabbit.namespace), []

    def came(number: int) -> bool:
        found.extend(read(rabbit))
        return len({each["message_id"] for each in told(found)}) >= number

    node.start(wait=False)
    until(lambda: store.setting("cursor/sink/bus") is not None, "the sink has a cursor")
    observe(store, Severity.MAJOR)
    until(lambda: came(1), "the alarm is on the bus", 30)
    rabbit.kill()
    observe(store, Severity.CRITICAL)
    observe(store, Severity.CLEARED)
    rabbit.start()
    until(lambda: came(3), "what happened meanwhile is on the bus", 60)
    assert store.setting("cursor/sink/bus") is not None
    once = list({each["message_id"]: each for each in told(found)}.values())
    kinds = [each["event_type"] for each in once]
    assert kinds == ["vimha.alarm.raised", "vimha.alarm.changed", "vimha.alarm.cleared"]
    assert [each["payload"]["perceivedSeverity"] for each in once] == ["MAJOR", "CRITICAL", "CLEARED"]
    assert {each["priority"] for each in once} == {"INFO"}
    assert [each["oslo.version"] for each in found] == ["2.0"] * len(found)
    store.close()


def told(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The notifications in their envelopes."""
    return [json.loads(each["oslo.message"]) for each in found]
