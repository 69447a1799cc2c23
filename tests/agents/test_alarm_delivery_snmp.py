"""Alarms to a real snmptrapd, by traps and informs of SNMPv2c and SNMPv3; the MIB by smilint."""

import asyncio
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ocf_calls import wait_until

from vimha.alarms import times
from vimha.alarms.catalogue import definitions
from vimha.alarms.delivery import snmp
from vimha.alarms.delivery.delivery import Delivery
from vimha.alarms.delivery.settings import DeliverySettings, SnmpSink
from vimha.alarms.model import Event, Location
from vimha.alarms.store.store import Store
from vimha.alarms.words import Severity
from vimha.files import write_atomic
from vimha.process import checked, run, spawn

pytestmark = pytest.mark.agents
MIB = Path(__file__).parents[2] / "docs" / "VIMHA-ALARM-MIB.txt"
ENGINE = "80001f8805aabbccdd"
CONFIG = f"""authCommunity log the-community
createUser informed SHA-256 an-authentication-phrase AES a-privacy-phrase
createUser -e 0x{ENGINE} trapped SHA-256 an-authentication-phrase AES a-privacy-phrase
authUser log informed priv
authUser log trapped priv
format2 %V|%v\\n
"""
SINKS = {
    "v2c inform": {"version": "2c", "inform": True},
    "v2c trap": {"version": "2c", "inform": False},
    "v3 inform": {"version": "3", "inform": True, "user": "informed"},
    "v3 trap": {"version": "3", "inform": False, "user": "trapped", "engine_id": ENGINE},
}


class Manager:
    """snmptrapd on loopback, with what it logged."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "told"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        write_atomic(folder / "traps.conf", CONFIG, 0o600)

    @contextmanager
    def listening(self) -> Iterator[None]:
        argv = [
            "snmptrapd", "-f", "-C", "-c", str(self._folder / "traps.conf"), "-Lf", str(self._log), "-m", "", "-On",
            "-Oe", f"udp:127.0.0.1:{self.port}",
        ]  # fmt: skip
        process = spawn(argv, log=str(self._folder / "err"), env={"SNMP_PERSISTENT_DIR": str(self._folder / "kept")})
        try:
            wait_until(lambda: self._log.exists() and "NET-SNMP version" in self._log.read_text(), 20)
            yield
        finally:
            process.kill()
            process.wait()

    def told(self) -> list[dict[str, str]]:
        """Each notification: OID -> value; the last part of ours without the root."""
        lines = [line for line in self._log.read_text().splitlines() if line.startswith(".1.3.6.1")]
        return [dict(each.split(" = ", 1) for each in line.strip("|").split("|")) for line in lines]


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    return Manager(tmp_path)


def sink(manager: Manager, folder: Path, kind: str) -> SnmpSink:
    secret = folder / "secret"
    v3 = "an-authentication-phrase\na-privacy-phrase\n"
    write_atomic(secret, "the-community\n" if kind.startswith("v2c") else v3, 0o600)
    return SnmpSink.model_validate(
        {"name": "oss", "host": "127.0.0.1", "port": manager.port, "secret_file": secret, **SINKS[kind]}
    )


def observe(store: Store, severity: Severity) -> None:
    event = Event(
        str(uuid.uuid4()), definitions()["control.service.failed"], "service/galera/n1", severity, times.now(),
        location=Location(host="n1", rack="r1"), details=("it \u00fcbte",),
    )  # fmt: skip
    store.submit([event]).result(30)


async def become(told: Manager, number: int) -> None:
    """Wait until so many notifications came."""
    async with asyncio.timeout(30):
        while len(told.told()) < number:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", SINKS)
def test_a_manager_is_told_how_an_alarm_lives(manager: Manager, tmp_path: Path, kind: str) -> None:
    async def work() -> None:
        store = Store.open(f"sqlite:///{tmp_path}/alarms.db")
        delivery = Delivery(store, DeliverySettings(snmp=(sink(manager, tmp_path, kind),)))
        await delivery.start()
        async with asyncio.timeout(30):
            while delivery.senders == 0:
                await asyncio.sleep(0.02)
        for severity in (Severity.MAJOR, Severity.CRITICAL, Severity.CLEARED):
            await asyncio.to_thread(observe, store, severity)
        await become(manager, 3)
        await delivery.stop()
        store.close()

    with manager.listening():
        asyncio.run(work())
    told = manager.told()
    assert [each[".1.3.6.1.6.3.1.1.4.1.0"] for each in told] == [
        f"OID: .{oid}" for oid in (snmp.RAISED, snmp.CHANGED, snmp.CLEARED)
    ]
    assert [value(each, 5) for each in told] == ["INTEGER: 4", "INTEGER: 3", "INTEGER: 1"]
    assert {value(each, 4) for each in told} == {'STRING: "service/galera/n1"'}
    assert {value(each, 16) for each in told} == {'STRING: "n1"'}
    assert len({value(each, 1) for each in told}) == 3
    assert len({value(each, 3) for each in told}) == 1
    assert all(len(each) == 2 + 19 for each in told)


def test_informs_wait_for_a_manager_that_is_away(manager: Manager, tmp_path: Path) -> None:
    async def work() -> None:
        store = Store.open(f"sqlite:///{tmp_path}/alarms.db")
        settings = DeliverySettings(snmp=(sink(manager, tmp_path, "v2c inform"),), answer_s=0.3)
        delivery = Delivery(store, settings)
        await delivery.start()
        async with asyncio.timeout(30):
            while delivery.senders == 0:
                await asyncio.sleep(0.02)
            for severity in (Severity.MAJOR, Severity.CLEARED):
                await asyncio.to_thread(observe, store, severity)
            while delivery.counters.failed < 2:
                await asyncio.sleep(0.02)
        with manager.listening():
            await become(manager, 2)
        await delivery.stop()
        store.close()

    asyncio.run(work())
    ids = list(dict.fromkeys(value(each, 1) for each in manager.told()))
    assert len(ids) == 2
    assert [value(each, 5) for each in manager.told()][-1] == "INTEGER: 1"


def test_the_mib_is_valid_and_its_numbers_are_those_that_are_sent(tmp_path: Path) -> None:
    """The base modules are those of Debian's erlang-snmp: the IETF's own texts are not in Debian."""
    (base,) = Path("/usr/lib/erlang/lib").glob("snmp-*/mibs")
    config = tmp_path / "smi.conf"
    config.write_text(f"path :{base}\n")
    assert checked(run(["smilint", "-c", str(config), "-s", "-l", "6", str(MIB)])).err == ""
    dump = checked(run(["smidump", "-c", str(config), "-f", "identifiers", str(MIB)])).out
    oids = {line.split()[1]: line.split()[-1] for line in dump.splitlines() if len(line.split()) > 2}
    assert (oids["vimhaAlarmRaised"], oids["vimhaAlarmCleared"]) == (snmp.RAISED, snmp.CLEARED)
    assert oids["vimhaAlarmSeverity"] == f"{snmp.OBJECT}.5"
    assert oids["vimhaAlarmProposedRepair"] == f"{snmp.OBJECT}.19"


def value(told: dict[str, str], number: int) -> str:
    return told[f".{snmp.OBJECT}.{number}.0"]
