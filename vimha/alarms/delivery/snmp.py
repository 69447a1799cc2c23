"""SNMP notifications (v2c, v3) of docs/VIMHA-ALARM-MIB.txt to one manager.

Invariant: an inform counts as delivered when the manager has acknowledged it, so it is repeated until then, with the
same `vimhaNotificationId`. A trap counts as delivered when it was handed to the network: nobody knows whether it
arrived. A message fits into one datagram: texts are cut at TEXT bytes.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC192_SHA256,
    USM_PRIV_CFB128_AES,
    CommunityData,
    ContextData,
    NotificationType,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    UsmUserData,
    send_notification,
)  # fmt: skip
from pysnmp.proto.rfc1902 import Integer32, OctetString, Unsigned32

from vimha.alarms import secret_files, words
from vimha.alarms.delivery.network import CallError
from vimha.alarms.delivery.settings import SnmpSink
from vimha.alarms.store.outbox import Notice
from vimha.alarms.words import Severity
from vimha.errors import VimhaError

ROOT = "1.3.6.1.4.1.8072.9999.9999.7641"
"""Below net-snmp's place for private use, for vimha has no number of its own."""
RAISED, CHANGED, CLEARED = (f"{ROOT}.0.{number}" for number in (1, 2, 3))
OBJECT = f"{ROOT}.1"
TEXT = 255
"""Bytes of a text: SnmpAdminString's bound."""
SEVERITIES = {
    Severity.CLEARED: 1, Severity.INDETERMINATE: 2, Severity.CRITICAL: 3, Severity.MAJOR: 4, Severity.MINOR: 5,
    Severity.WARNING: 6,
}  # fmt: skip
"""As ItuPerceivedSeverity (RFC 3877) numbers them."""


def receiver(sink: SnmpSink, boots: int, answer_s: float) -> "SnmpReceiver":
    """A receiver for one manager; VimhaError when its secrets cannot be read. `boots` counts how often the sink's
    sender began: what SNMPv3 asks of whoever sends traps (RFC 3414, 2.2.2).
    """
    return SnmpReceiver(sink, _user(sink), _engine(sink, boots), answer_s)


class SnmpReceiver:
    """One manager."""

    def __init__(self, sink: SnmpSink, user: CommunityData | UsmUserData, engine: SnmpEngine, answer_s: float) -> None:
        self._sink, self._user, self._engine, self._answer_s = sink, user, engine, answer_s
        self._target: UdpTransportTarget | None = None

    async def send(self, notice: Notice) -> None:
        """Deliver one notification; CallError when it was not taken. What is about no alarm has no place in the MIB."""
        if notice.alarm_id is None:
            return
        body = json.loads(notice.body)
        kind = "inform" if self._sink.inform else "trap"
        said = NotificationType(ObjectIdentity(kind_of(body))).add_varbinds(*varbinds(notice, body))
        try:
            async with asyncio.timeout(self._answer_s + 1):
                if self._target is None:
                    self._target = await UdpTransportTarget.create(
                        (self._sink.host, self._sink.port), timeout=self._answer_s, retries=0
                    )
                wrong, status, _, _ = await send_notification(
                    self._engine, self._user, self._target, ContextData(), kind, said, lookupMib=False
                )
        except (PySnmpError, OSError, TimeoutError) as error:
            raise CallError(f"{self._sink.host}: {error or 'no answer'}") from error
        if wrong or status:
            raise CallError(f"{self._sink.host}: {wrong or status}")

    async def test(self) -> None:
        """There is nothing to ask a manager."""

    async def close(self) -> None:
        self._engine.close_dispatcher()


def kind_of(body: Mapping[str, Any]) -> str:
    """The notification's OID: an alarm that never changed was raised just now."""
    if body["perceivedSeverity"] == Severity.CLEARED:
        return CLEARED
    return CHANGED if "alarmChangedTime" in body else RAISED


def varbinds(notice: Notice, body: Mapping[str, Any]) -> list[ObjectType]:
    """The MIB's objects 1 .. 19, in its order."""
    place = body.get("location", {})
    values = [
        text(notice.id),
        Unsigned32(notice.sequence & 0xFFFFFFFF),
        text(body["id"]),
        text(body["managedObjectId"]),
        Integer32(SEVERITIES[Severity(body["perceivedSeverity"])]),
        text(body["eventType"]),
        text(body["probableCause"]),
        text(body.get("specificProblem", "")),
        text(body["faultType"]),
        text(body["faultDomain"]),
        text(body["eventTime"]),
        text(body["alarmRaisedTime"]),
        text(body.get("alarmClearedTime", "")),
        Integer32(1 if body["serviceAffecting"] else 2),
        Integer32(1 if body["ackState"] == words.AckState.ACKNOWLEDGED else 2),
        text(place.get("host", "")),
        text(" ".join(f"{name}={value}" for name, value in place.items())),
        text("; ".join(body.get("faultDetails", ()))),
        text(body["proposedRepairAction"]),
    ]
    return [
        ObjectType(ObjectIdentity(f"{OBJECT}.{number}.0"), value) for number, value in enumerate(values, start=1)
    ]  # fmt: skip


def text(value: str) -> OctetString:
    """`value` in UTF-8, cut between characters."""
    return OctetString(value.encode()[:TEXT].decode(errors="ignore").encode())


def _user(sink: SnmpSink) -> CommunityData | UsmUserData:
    lines = secret_files.lines(sink.secret_file)
    needed = 1 if sink.version == "2c" else 2
    if len(lines) < needed or not all(lines[:needed]):
        raise VimhaError(
            f"{sink.secret_file}: too few lines",
            "v2c: the community. v3: the authentication pass phrase, then the privacy pass phrase.",
        )
    if sink.version == "2c":
        return CommunityData(lines[0], mpModel=1)  # noqa: S508  # the operator's choice
    return UsmUserData(
        sink.user, lines[0], lines[1], authProtocol=USM_AUTH_HMAC192_SHA256, privProtocol=USM_PRIV_CFB128_AES
    )


def _engine(sink: SnmpSink, boots: int) -> SnmpEngine:
    """An engine that is who the manager knows. The library counts boots in a file of this node's; what counts is how
    often any node began, so that is set instead."""
    if not sink.engine_id:
        return SnmpEngine()
    engine = SnmpEngine(OctetString(hexValue=sink.engine_id))
    (count,) = engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineBoots")
    count.syntax = count.syntax.clone(boots)
    return engine
