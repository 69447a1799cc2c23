"""vimha/lab/cabling: names, addresses and fault states follow from the site alone."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vimha.errors import VimhaError
from vimha.lab.cabling import CLIENT, OOB, Cabling, Faults
from vimha.site.loading import load_valid
from vimha.site.model import Site

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = load_valid(EXAMPLES / "site-small.yaml")
LARGE = load_valid(EXAMPLES / "site-large.yaml")
NODES = tuple(SMALL.nodes)


def cabling(site: Site = SMALL) -> Cabling:
    return Cabling("demo", site)


def unbonded() -> Site:
    return SMALL.model_copy(update={"bond": None})


@pytest.mark.parametrize("site", [SMALL, LARGE, unbonded()], ids=["small", "large", "unbonded"])
def test_every_interface_name_fits_and_is_used_once(site: Site) -> None:
    cables = [cable for owner in cabling(site).owners for cable in cabling(site).cables(owner)]
    outer = [cable.outer for cable in cables] + [port for _, a, _, b in cabling(site).links for port in (a, b)]
    assert len(set(outer)) == len(outer)
    assert len({cable.mac for cable in cables}) == len(cables)
    assert all(len(name) <= 15 for name in outer)


def test_port_n_is_cabled_to_plane_n_and_the_bond_starts_in_the_first() -> None:
    legs = cabling().legs("control-2")
    assert [(leg.inner, leg.bridge) for leg in legs] == [("eth0", "plane-a"), ("eth1", "plane-b")]
    bond = cabling().bond("control-2")
    assert bond is not None
    assert (bond.inner, bond.bridge) == ("bond0", "plane-a")


def test_without_a_bond_the_planes_share_nothing_and_each_address_is_on_its_port() -> None:
    apart = cabling(unbonded())
    assert apart.links == ()
    assert apart.bond("control-1") is None
    assert [interface for interface, _ in apart.addresses("control-1")] == ["eth0", "eth1"]


def test_the_client_is_in_every_plane() -> None:
    assert [str(address) for _, address in cabling().addresses(CLIENT)] == ["10.77.1.250/24", "10.77.2.250/24"]


def test_the_client_steps_aside_for_a_vip() -> None:
    vip = SMALL.vips["public"].model_copy(update={"address": IPv4Address("10.77.1.250")})
    site = SMALL.model_copy(update={"vips": {"public": vip}})
    assert str(cabling(site).addresses(CLIENT)[0][1]) == "10.77.1.249/24"


def test_a_nodes_out_of_band_address_is_its_bmcs_and_a_hundred() -> None:
    assert str(cabling().oob_address("control-1")) == "10.77.9.111"


def test_an_out_of_band_address_never_leaves_its_network() -> None:
    bmc = SMALL.nodes["control-1"].bmc
    assert bmc is not None
    far = SMALL.nodes["control-1"].model_copy(
        update={"bmc": bmc.model_copy(update={"address": IPv4Address("10.77.9.200")})}
    )
    site = SMALL.model_copy(update={"nodes": {**SMALL.nodes, "control-1": far}})
    assert str(cabling(site).oob_address("control-1")) == "10.77.9.46"


def test_an_out_of_band_address_that_a_bmc_has_is_refused() -> None:
    bmc = SMALL.nodes["control-2"].bmc
    assert bmc is not None
    clash = bmc.model_copy(update={"address": IPv4Address("10.77.9.111")})
    node = SMALL.nodes["control-2"].model_copy(update={"bmc": clash})
    site = SMALL.model_copy(update={"nodes": {**SMALL.nodes, "control-2": node}})
    with pytest.raises(VimhaError, match=r"10\.77\.9\.111 is also a BMC's"):
        cabling(site).oob_address("control-1")


def test_everything_is_up_without_a_fault() -> None:
    assert all(cabling().states(Faults()).values())


def test_a_pulled_port_takes_its_own_cable_alone() -> None:
    states = cabling().states(Faults(ports=frozenset({("control-1", "eth0")})))
    assert [name for name, up in states.items() if not up] == [cabling().legs("control-1")[0].outer]


def test_a_plane_without_power_takes_its_switch_all_its_ports_and_the_link_to_the_other() -> None:
    down = {name for name, up in cabling().states(Faults(planes=frozenset({"a"}))).items() if not up}
    legs = {cabling().legs(owner)[0].outer for owner in cabling().owners}
    assert down == {"plane-a", "isl0a", *legs}


@given(
    planes=st.frozensets(st.sampled_from(["a", "b"])),
    ports=st.frozensets(st.tuples(st.sampled_from(NODES), st.sampled_from(["eth0", "eth1"]))),
)
def test_more_faults_never_bring_a_port_up(planes: frozenset[str], ports: frozenset[tuple[str, str]]) -> None:
    worse, better = cabling().states(Faults(ports, planes)), cabling().states(Faults(ports))
    assert all(better[name] for name, up in worse.items() if up)


def test_the_rest_and_the_client_find_their_side() -> None:
    one, two, three = NODES
    assert cabling().sides([[one]]) == ((one,), (two, three, CLIENT))
    assert cabling().sides([[one], [two]]) == ((one,), (two,), (three, CLIENT))
    assert cabling().sides([[one, CLIENT], [two, three]]) == ((one, CLIENT), (two, three))


def test_a_partition_of_strangers_is_refused() -> None:
    with pytest.raises(VimhaError, match="no node nobody in lab demo"):
        cabling().sides([["nobody"]])


def test_a_partition_drops_each_sides_frames_at_the_others_ports_but_not_out_of_band() -> None:
    rules = cabling().partition_rules([["control-1"]])
    assert rules.count("drop") == 2
    for owner in cabling().owners:
        assert cabling().oob(owner).outer not in rules
        assert cabling().oob(owner).mac not in rules
        assert all(cable.mac in rules for cable in cabling().cables(owner) if cable.bridge != OOB)


def test_a_healed_partition_leaves_no_table() -> None:
    assert cabling().partition_rules([]).splitlines() == ["table bridge partition", "delete table bridge partition"]
