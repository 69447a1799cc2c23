"""ocf:vimha:rabbitmq without a broker: what becomes of a coming up that ends while an action looks."""

from pathlib import Path

from fake_host import FakeHost

from resource_agents.ocf import runtime
from resource_agents.ocf.agent import DEGRADED, GENERIC, INSTALLED
from resource_agents.rabbitmq import RabbitMQ

ENV = {
    "OCF_RESOURCE_INSTANCE": "messaging:0", "OCF_RESKEY_CRM_meta_interval": "500", "OCF_RESKEY_amqp": "127.0.0.1:5672",
    "OCF_RESKEY_members": "n1=127.0.0.1", "OCF_RESKEY_CRM_meta_on_node": "n1", "HA_LOGFACILITY": "none",
}  # fmt: skip
FOLDER = "/run/vimha/messaging.d"


class Ending(FakeHost):
    """A host whose coming up says its last word, and ends, right after somebody has read its state."""

    def read(self, path: str) -> str | None:
        text = super().read(path)
        if path == f"{FOLDER}/state":
            self.put(path, "1\nthe disk is full\n")
            self.end_process(77)
        return text


def test_a_coming_up_that_ends_while_the_monitor_looks_is_not_taken_for_none(tmp_path: Path) -> None:
    host = Ending(tmp_path)
    host.put_process(77, ["python3"])
    host.put(f"{FOLDER}/formation.pid", "77\n5000\n")
    host.put(f"{FOLDER}/state", "190\nboots: the first start\n")
    assert runtime.invoke(RabbitMQ, "monitor", ENV, host) == (DEGRADED, "boots: the first start")
    assert runtime.invoke(RabbitMQ, "monitor", ENV, host) == (GENERIC, "the disk is full")


class GivingUp(FakeHost):
    """A host whose coming up has failed, and still tidies up for a while."""

    def sleep(self, seconds: float) -> None:  # type: ignore[override]
        super().sleep(seconds)
        if self.now > 101.0:
            self.end_process(77)


def test_a_start_that_failed_leaves_no_coming_up_for_the_next_one_to_wait_for(tmp_path: Path) -> None:
    host = GivingUp(tmp_path)
    for pid, name in ((77, "formation"), (78, "dead_peer")):
        host.put_process(pid, ["python3"])
        host.put(f"{FOLDER}/{name}.pid", f"{pid}\n5000\n")
    host.put(f"{FOLDER}/state", "5\nport in use\n")
    assert runtime.invoke(RabbitMQ, "start", ENV, host) == (INSTALLED, "port in use")
    assert host.read("/proc/77/stat") is None
