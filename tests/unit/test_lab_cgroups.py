"""vimha/lab/cgroups: the same words on control groups v1, hybrid and v2."""

from pathlib import Path

import pytest

from vimha.lab.cgroups import Group, has_memory


def hybrid(root: Path) -> Group:
    for name in ("freezer", "systemd", "unified"):
        (root / name).mkdir()
    return Group("demo/n1", root)


def pure_v2(root: Path) -> Group:
    (root / "cgroup.controllers").touch()
    return Group("demo/n1", root)


def test_a_hybrid_host_has_the_group_in_every_hierarchy_that_matters(tmp_path: Path) -> None:
    made = hybrid(tmp_path).make(3)
    assert made == tuple(f"{tmp_path}/{name}/vimha-lab/demo/n1" for name in ("freezer", "systemd", "unified"))


def test_a_v2_host_has_it_once(tmp_path: Path) -> None:
    assert pure_v2(tmp_path).make(3) == (f"{tmp_path}/vimha-lab/demo/n1",)


def cpu_files(root: Path) -> dict[str, str]:
    """cpu.shares and cpu.rt_runtime_us by group, as the kernel makes them with each folder, and written since."""
    return {str(file.relative_to(root)): file.read_text() for file in sorted(root.rglob("cpu.*"))}


def test_a_machine_has_its_share_of_the_cpu_and_of_real_time(tmp_path: Path) -> None:
    group = hybrid(tmp_path)
    below = tmp_path / "cpu" / "vimha-lab"
    for folder in (below, below / "demo", below / "demo" / "n1"):
        folder.mkdir(parents=True)
        (folder / "cpu.shares").write_text("1024")
        (folder / "cpu.rt_runtime_us").write_text("0")
    assert group.make(3)[-1] == str(below / "demo" / "n1")
    assert cpu_files(below) == {
        "cpu.shares": "12288", "cpu.rt_runtime_us": "900000",
        "demo/cpu.shares": "6144", "demo/cpu.rt_runtime_us": "450000",
        "demo/n1/cpu.shares": "2048", "demo/n1/cpu.rt_runtime_us": "150000",
    }  # fmt: skip


def test_a_machine_for_which_no_real_time_is_left_stays_out_of_the_cpu_group(tmp_path: Path) -> None:
    group = hybrid(tmp_path)
    machine = tmp_path / "cpu" / "vimha-lab" / "demo" / "n1"
    machine.mkdir(parents=True)
    (machine / "cpu.shares").write_text("1024")
    (machine.parent / "cpu.rt_runtime_us").mkdir()  # as unwritable as a full one
    assert str(machine) not in group.make(3)


def test_processes_are_found_in_the_groups_below_too(tmp_path: Path) -> None:
    group = pure_v2(tmp_path)
    below = Path(group.make(3)[0]) / "payload" / "system.slice"
    below.mkdir(parents=True)
    (below / "cgroup.procs").write_text("30\n0\n")
    (below.parent / "cgroup.procs").write_text("7\n")
    assert group.pids() == (7, 30)


def test_a_group_that_was_never_made_is_empty_and_may_be_thawed(tmp_path: Path) -> None:
    group = hybrid(tmp_path)
    assert group.pids() == ()
    group.thaw()
    group.kill()


@pytest.mark.parametrize(
    ("make", "file", "frozen"), [(hybrid, "freezer.state", "FROZEN"), (pure_v2, "cgroup.freeze", "1")]
)
def test_freezing_uses_the_hosts_own_freezer(tmp_path: Path, make: object, file: str, frozen: str) -> None:
    group = hybrid(tmp_path) if make is hybrid else pure_v2(tmp_path)
    folder = Path(group.make(3)[0])
    (folder / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert (folder / file).read_text() == frozen


def test_only_what_has_memory_can_run() -> None:
    assert has_memory(1)
    assert not has_memory(2)  # a kernel thread
    assert not has_memory(2**22 + 1)
