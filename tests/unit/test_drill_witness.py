"""The witness reads netlink and ARP by hand: messages built as the kernel builds them come back as sightings."""

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from vimha.drill.split_brain import Sighting
from vimha.drill.witness import (
    RTM_DELADDR,
    RTM_NEWADDR,
    RTM_NEWLINK,
    Link,
    Witness,
    address_change,
    arp_claim,
    attributes,
    link_change,
    messages,
)

VIP = "10.9.0.100"
MAC = bytes.fromhex("02aabbccdd01")


def attribute(kind: int, value: bytes) -> bytes:
    raw = struct.pack("=HH", 4 + len(value), kind) + value
    return raw + b"\0" * (-len(raw) % 4)


def message(kind: int, payload: bytes) -> bytes:
    raw = struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload
    return raw + b"\0" * (-len(raw) % 4)


def address(kind: int, text: str = VIP) -> bytes:
    return message(kind, struct.pack("=BBBBI", 2, 24, 0, 0, 3) + attribute(2, socket.inet_aton(text)))


def link(index: int, carrier: bool, loopback: bool = False) -> bytes:
    flags = (0x10000 if carrier else 0) | (0x8 if loopback else 0)
    return message(RTM_NEWLINK, struct.pack("=BBHiII", 0, 0, 1, index, flags, 0) + attribute(1, MAC))


def arp(sender: str, mac: bytes = MAC) -> bytes:
    head = b"\xff" * 6 + mac + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
    return head + mac + socket.inet_aton(sender) + b"\0" * 6 + socket.inet_aton(VIP)


def test_addresses_come_and_go() -> None:
    both = list(messages(address(RTM_NEWADDR) + address(RTM_DELADDR)))
    assert [address_change(*entry) for entry in both] == [("hold", VIP), ("release", VIP)]


def test_links_tell_mac_and_carrier_and_loopback_is_none() -> None:
    (entry,) = messages(link(7, True))
    assert link_change(*entry) == Link(7, MAC.hex(":"), True)
    assert link_change(*next(messages(link(1, True, loopback=True)))) is None


def test_arp_claims_are_the_senders_and_probes_claim_nothing() -> None:
    assert arp_claim(arp(VIP)) == (MAC.hex(":"), VIP)
    assert arp_claim(arp("0.0.0.0")) is None
    assert arp_claim(arp(VIP)[:30]) is None


@given(st.binary(max_size=200))
def test_garbage_is_read_without_an_error(data: bytes) -> None:
    for kind, payload in messages(data):
        address_change(kind, payload)
        link_change(kind, payload)
    attributes(data)
    arp_claim(data)


def test_power_is_cut_when_the_last_cable_goes_dead_and_only_then() -> None:
    seen: list[Sighting] = []
    witness = Witness({"c1": "ns"}, frozenset({VIP}), seen.append)
    witness._carriers["c1"] = {}
    for stamp, index, carrier in ((1, 2, True), (1, 3, True), (2, 2, False), (3, 2, True), (4, 2, False)):
        witness._note(stamp, "c1", link(index, carrier))
    assert seen == []
    witness._note(5, "c1", link(3, False))
    assert seen == [Sighting(5, "cut", "c1")]


def test_a_claim_is_put_down_to_the_node_whose_mac_it_carries() -> None:
    seen: list[Sighting] = []
    witness = Witness({"c1": "ns"}, frozenset({VIP}), seen.append)
    witness._carriers["c1"] = {}
    witness._note(1, "c1", link(2, True))
    witness._note(2, "", arp(VIP))
    witness._note(3, "", arp(VIP, b"\x02" * 6))
    witness._note(4, "", arp("10.9.0.5"))
    assert [(entry.kind, entry.node) for entry in seen] == [("claim", "c1"), ("claim", "02:02:02:02:02:02")]
