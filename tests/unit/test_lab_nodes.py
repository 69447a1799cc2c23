"""vimha/lab: the files of a node, the lab's record of its site, and reading crm_mon."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from vimha.errors import UsageError, VimhaError
from vimha.lab import labs, nodes, remains
from vimha.lab.cabling import Cabling, Faults
from vimha.lab.labs import Lab
from vimha.lab.network import Network
from vimha.process import Result
from vimha.render.schema import check_schema
from vimha.site.loading import load_valid
from vimha.site.model import Site
from vimha.timing.solve import solve

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = load_valid(EXAMPLES / "site-small.yaml")


def test_the_bond_of_a_staged_site_is_joined_outside() -> None:
    bond = nodes.staged(SMALL).bond
    assert bond is not None
    assert (bond.name, bond.mode, bond.miimon) == ("bond0", "external", 50)


def test_a_site_without_a_bond_is_staged_as_it_is() -> None:
    site = SMALL.model_copy(update={"bond": None})
    assert nodes.staged(site) is site


def test_the_first_cib_is_valid_and_elects_without_the_default_wait() -> None:
    cib = nodes.seed(solve(SMALL))
    assert b'name="dc-deadtime"' in cib
    assert check_schema(cib) == []


def test_every_node_knows_every_other_by_its_first_planes_address() -> None:
    assert nodes.hosts(SMALL).splitlines()[1:] == [
        "10.77.1.11 control-1",
        "10.77.1.12 control-2",
        "10.77.1.13 control-3",
    ]


@pytest.mark.parametrize("name", ["minimal", "small", "large"])
def test_a_lab_is_found_again_with_the_site_that_it_was_made_for(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remains, "STATE", tmp_path)
    site = nodes.staged(load_valid(EXAMPLES / f"site-{name}.yaml"))
    place = remains.record("demo")
    place.parent.mkdir()
    place.write_text(json.dumps({"ready": True, "owner": None, "site": site.model_dump(mode="json")}))
    assert Lab.open("demo").site == site


def test_an_unknown_lab_is_told_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remains, "STATE", tmp_path)
    monkeypatch.setattr(remains, "DISKS", tmp_path / "disks")
    (tmp_path / "other").mkdir()
    with pytest.raises(VimhaError, match="no lab demo") as caught:
        Lab.open("demo")
    assert "Labs: other." in caught.value.remedy


def test_faults_outlive_the_command_that_made_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vimha.lab.network.batch", lambda *_, **__: None)
    monkeypatch.setattr("vimha.lab.network.run", lambda *_, **__: Result((), 0, "", ""))
    first, second = (Network(Cabling("demo", SMALL), tmp_path) for _ in range(2))
    first.port("control-1", "eth0", up=False)
    first.plane("b", up=False)
    first.partition([["control-3"]])
    assert second.faults == Faults(
        frozenset({("control-1", "eth0")}),
        frozenset({"b"}),
        (("control-3",), ("control-1", "control-2", "cli")),
    )
    second.heal()
    assert first.faults == Faults()


@pytest.mark.parametrize(("node", "port"), [("nobody", "eth0"), ("control-1", "eth7")])
def test_a_port_that_is_not_there_cannot_be_pulled(tmp_path: Path, node: str, port: str) -> None:
    with pytest.raises(VimhaError, match=f"no port {port} at {node}"):
        Network(Cabling("demo", SMALL), tmp_path).port(node, port, up=False)


def test_a_node_that_would_take_one_of_the_labs_own_names_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labs.os, "geteuid", lambda: 0)
    node = SMALL.nodes["control-1"]
    site = SMALL.model_copy(update={"nodes": {"net": node}})
    with pytest.raises(UsageError, match="no node can be called net"):
        labs.refuse(site)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("os.geteuid", 1000, "only be made by root"),
        ("shutil.which", None, "systemd-nspawn is not installed"),
        ("shutil.disk_usage", SimpleNamespace(free=10**6), "has 1 MB left; a lab needs 300 MB"),
    ],
    ids=["root", "tools", "disk"],
)
def test_a_host_that_cannot_be_a_lab_is_told_before_anything_is_made(
    name: str, value: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labs.os, "geteuid", lambda: 0)
    monkeypatch.setattr(labs.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(f"vimha.lab.labs.{name}", lambda *_: value)
    with pytest.raises(VimhaError, match=message):
        labs.refuse(SMALL)


MON = """<pacemaker-result><summary><current_dc present="{dc}"/></summary><nodes>
<node name="a" online="true" pending="false"/><node name="b" online="true" pending="true"/>
<node name="c" online="false" pending="false"/></nodes></pacemaker-result>"""


@pytest.mark.parametrize(
    ("code", "out", "online"),
    [(0, MON.format(dc="true"), {"a"}), (0, MON.format(dc="false"), set()), (102, "", set())],
    ids=["dc", "no dc", "no pacemaker"],
)
def test_only_a_node_that_has_joined_under_a_dc_is_online(code: int, out: str, online: set[str]) -> None:
    assert labs._online(lambda *_, **__: Result((), code, out, "")) == online


def test_the_examples_fit_the_lab() -> None:
    for name in ("minimal", "small", "large"):
        site: Site = load_valid(EXAMPLES / f"site-{name}.yaml")
        for node in site.nodes:
            Cabling("demo", site).oob_address(node)
