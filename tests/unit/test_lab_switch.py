"""vimha/lab/switch: the stand-in bond behaves as an active-backup bond with miimon does."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vimha.lab.switch import CARRIER, Daemon, Leg, StandIn, choose

LEGS = (Leg("p0", "plane-a"), Leg("p1", "plane-b"))
BOND = StandIn("bond", LEGS)


class FakeRoute:
    """The links of a namespace, with pyroute2's calls that the daemon uses."""

    def __init__(self) -> None:
        self.indices = {"plane-a": 1, "plane-b": 2, "p0": 3, "p1": 4, "bond": 5, "isl": 6}
        self.up = dict.fromkeys(self.indices, True)
        self.master = 1
        self.flushed = 0

    def get_links(self) -> list[Any]:
        return [FakeLink(name, index, self) for name, index in self.indices.items()]

    def link(self, command: str, index: int, **what: Any) -> None:
        assert (command, index) == ("set", self.indices["bond"])
        self.master = what.get("master", self.master)
        self.up["bond"] = what.get("state", "up") == "up"

    def brport(self, command: str, index: int, flush: int) -> None:
        assert (command, index, flush) == ("set", self.indices["isl"], 1)
        self.flushed += 1


class FakeLink(dict[str, int]):
    def __init__(self, name: str, index: int, route: FakeRoute) -> None:
        super().__init__(index=index, flags=CARRIER if route.up[name] else 0)
        self.attributes = {"IFLA_IFNAME": name, "IFLA_MASTER": route.master if name == "bond" else None}

    def get_attr(self, name: str) -> Any:
        return self.attributes[name]


def daemon() -> tuple[FakeRoute, Daemon]:
    route = FakeRoute()
    return route, Daemon([BOND], ["isl"], 0.1, route)


def test_a_bond_stays_while_its_leg_has_a_carrier() -> None:
    route, bonds = daemon()
    route.up["p1"] = False
    assert bonds.look(0.0) is None
    assert route.master == 1


def test_a_lost_leg_carries_nothing_and_is_left_after_miimon() -> None:
    route, bonds = daemon()
    route.up["p0"] = False
    assert bonds.look(10.0) == 10.1
    assert route.master == 0
    assert bonds.look(10.05) == 10.1
    assert route.master == 0
    assert bonds.look(10.1) is None
    assert (route.master, route.flushed) == (2, 1)


def test_a_carrier_that_returns_before_miimon_is_not_missed() -> None:
    route, bonds = daemon()
    route.up["p0"] = False
    bonds.look(10.0)
    route.up["p0"] = True
    assert bonds.look(10.05) is None
    assert route.master == 1


def test_a_bond_does_not_move_back() -> None:
    route, bonds = daemon()
    route.up["p0"] = False
    bonds.look(0.0)
    bonds.look(0.1)
    route.up["p0"] = True
    assert bonds.look(1.0) is None
    assert route.master == 2


def test_a_bond_without_any_leg_loses_its_carrier_and_finds_it_again() -> None:
    route, bonds = daemon()
    route.up["p0"] = route.up["p1"] = False
    bonds.look(0.0)
    assert bonds.look(0.1) is None
    assert not route.up["bond"]
    route.up["p1"] = True
    assert bonds.look(1.0) == 1.1
    assert bonds.look(1.05) == 1.1
    bonds.look(1.1)
    assert (route.master, route.up["bond"]) == (2, True)


def test_a_node_that_lost_its_power_is_forgotten() -> None:
    route, bonds = daemon()
    route.up["p0"] = False
    bonds.look(0.0)
    del route.indices["bond"]
    assert bonds.look(0.05) is None


@given(
    current=st.sampled_from(["", "plane-a", "plane-b"]),
    carriers=st.dictionaries(st.sampled_from(["p0", "p1"]), st.booleans()),
)
def test_the_choice_has_a_carrier_whenever_one_can(current: str, carriers: dict[str, bool]) -> None:
    chosen = choose(current, LEGS, carriers)
    able = {leg.bridge for leg in LEGS if carriers.get(leg.outer)}
    assert chosen in able or (not able and chosen == "")
    assert chosen == current or current not in able
