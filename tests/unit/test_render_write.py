"""Artefacts and keys reach the disk whole, closed to others, and only where they belong."""

import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from render_sites import EXAMPLES, example, made

from vimha.errors import VimhaError
from vimha.render.render import write
from vimha.render.secrets import KEY_BYTES, corosync_authkey
from vimha_cli.main import cli


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_each_node_gets_a_tree_with_the_right_modes(tmp_path: Path) -> None:
    written = write(made(example("small")), tmp_path)
    assert sorted(map(str, written)) == sorted(str(tmp_path / name) for name in files(tmp_path))
    modes = {
        name: (tmp_path / name).stat().st_mode & 0o777
        for name in ("cib.xml", "control-2/etc/corosync/authkey", "control-2/etc/vimha/haproxy.cfg")
    }
    assert list(modes.values()) == [0o600, 0o400, 0o644]


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    rendered = made(example("small"))
    write(rendered, tmp_path)
    before = files(tmp_path)
    write(rendered, tmp_path)
    assert files(tmp_path) == before


def test_a_key_is_made_once(tmp_path: Path) -> None:
    key = corosync_authkey(tmp_path / "new")
    assert len(key) == KEY_BYTES
    assert corosync_authkey(tmp_path / "new") == key
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["corosync.authkey"]
    assert corosync_authkey(tmp_path / "other") != key


def test_runs_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    keys: list[bytes] = []
    runs = [threading.Thread(target=lambda: keys.append(corosync_authkey(tmp_path))) for _ in range(8)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(keys) == 8 and len(set(keys)) == 1


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    corosync_authkey(tmp_path)
    (tmp_path / "corosync.authkey").chmod(0o640)
    with pytest.raises(VimhaError, match="others can read") as caught:
        corosync_authkey(tmp_path)
    assert caught.value.remedy.startswith("chmod 600 ")


def test_a_truncated_key_is_refused(tmp_path: Path) -> None:
    corosync_authkey(tmp_path)
    (tmp_path / "corosync.authkey").write_bytes(b"short")
    with pytest.raises(VimhaError, match="has 5 bytes"):
        corosync_authkey(tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VimhaError, match="Not a directory"):
        corosync_authkey(tmp_path / "file" / "folder")


def test_the_command_writes_all_or_one_node(tmp_path: Path) -> None:
    site = str(EXAMPLES / "site-small.yaml")
    one, every = tmp_path / "one", tmp_path / "all"
    assert CliRunner().invoke(cli, ["render", site, "--out", str(one), "--node", "control-2"]).exit_code == 0
    assert {name.split("/")[0] for name in files(one)} == {"corosync.authkey", "control-2"}
    assert CliRunner().invoke(cli, ["render", site, "--out", str(every)]).exit_code == 0
    assert {name.split("/")[0] for name in files(every)} == {
        "corosync.authkey", "cib.xml", "control-1", "control-2", "control-3",
    }  # fmt: skip


def test_the_command_says_which_nodes_there_are(tmp_path: Path) -> None:
    arguments = ["render", str(EXAMPLES / "site-small.yaml"), "--out", str(tmp_path / "out"), "--node", "c9"]
    failed = CliRunner().invoke(cli, arguments)
    assert isinstance(failed.exception, VimhaError) and failed.exception.exit_code == 2
    assert "control-1, control-2, control-3" in failed.exception.remedy
    assert not (tmp_path / "out").exists()


def test_a_service_with_a_reserved_name_is_refused_and_nothing_written(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    text = (EXAMPLES / "site-minimal.yaml").read_text() + "services:\n  haproxy: {policy: active-standby}\n"
    site.write_text(text)
    failed = CliRunner().invoke(cli, ["render", str(site), "--out", str(tmp_path / "out")])
    assert failed.exit_code == 1
    assert not (tmp_path / "out" / "cib.xml").exists()
