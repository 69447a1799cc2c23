"""What clients of an address are sent when it has moved, and by what it is known that it has."""

import ipaddress
import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from resource_agents.address.announce import ARP_PACKET, BROADCAST, ETHERNET, frames, internet_checksum
from resource_agents.address.handover import announced, segment

MAC, OTHER = bytes.fromhex("525400123456"), bytes.fromhex("525400abcdef")
VIP = ipaddress.ip_address("192.0.2.100").packed
addresses = st.ip_addresses(v=4).map(lambda address: address.packed)
ports = st.integers(1, 65535)


@given(addresses, ports, addresses, ports)
def test_a_segment_is_one_that_the_client_answers(local: bytes, port: int, far: bytes, far_port: int) -> None:
    packet = segment(local, port, far, far_port)
    head, body = packet[:20], packet[20:]
    assert (head[0], head[9], head[12:16], head[16:20]) == (0x45, socket.IPPROTO_TCP, local, far)
    assert struct.unpack("!HH", body[:4]) == (port, far_port)
    assert (body[12] >> 4) * 4 == len(body), "no data, which the client might take for the stream's"
    assert body[13] == 0x10, "ACK alone: no reset, no end, no beginning"
    pseudo = local + far + struct.pack("!HH", socket.IPPROTO_TCP, len(body))
    assert internet_checksum(pseudo + body) == 0


@given(st.integers(0, 60))
def test_another_hosts_announcement_is_known(cut: int) -> None:
    for frame in frames(OTHER, VIP):
        assert announced(frame, VIP, MAC)
        assert announced(frame + bytes(18), VIP, MAC), "padded, as on a real wire"
        assert not announced(frame, VIP, OTHER), "our own"
        assert not announced(frame, ipaddress.ip_address("192.0.2.101").packed, MAC)
        assert not announced(frame[: min(cut, len(frame) - 1)], VIP, MAC)


def test_a_question_and_an_answer_are_no_announcements() -> None:
    head = ETHERNET.pack(BROADCAST, OTHER, 0x0806)
    for operation, own, target in ((1, bytes([192, 0, 2, 7]), VIP), (2, VIP, bytes([192, 0, 2, 7]))):
        assert not announced(head + ARP_PACKET.pack(1, 0x0800, 6, 4, operation, OTHER, own, MAC, target), VIP, MAC)
