"""vimha/lab/image and recipe: what the image is made of, and that half of one never stays."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from vimha.errors import VimhaError
from vimha.lab import image, recipe


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty image cache, on a host that could build."""
    monkeypatch.setattr(image, "CACHE", tmp_path)
    monkeypatch.setattr(image.os, "geteuid", lambda: 0)
    monkeypatch.setattr(image.shutil, "which", lambda tool: f"/usr/bin/{tool}")
    monkeypatch.setattr(image, "_proxies", lambda: ())
    return tmp_path


def builds(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let `script` (a shell's) stand in for mmdebstrap; $1 is the folder to fill."""

    def fake_spawn(argv: Sequence[str], *, log: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        del env
        target = argv[list(argv).index(recipe.SUITE) + 1]
        with Path(log).open("wb") as sink:
            return subprocess.Popen(
                ["sh", "-c", script, "sh", target], stdout=sink, stderr=sink, start_new_session=True
            )

    monkeypatch.setattr(image, "spawn", fake_spawn)
    monkeypatch.setattr(image, "_customise", lambda root: None)


@pytest.mark.parametrize(
    ("clustered", "some"),
    [
        (False, {"pacemaker", "corosync", "haproxy", "glance-api", "fence-agents", "systemd-sysv"}),
        (True, {"pacemaker", "haproxy", "mariadb-server", "galera-4", "mariadb-backup", "rabbitmq-server"}),
    ],
)
def test_the_package_list_has_neither_comments_nor_doubles(clustered: bool, some: set[str]) -> None:
    packages = recipe.packages(clustered=clustered)
    assert some <= set(packages)
    assert len(set(packages)) == len(packages)
    assert not [name for name in packages if "#" in name or " " in name]


def test_the_key_changes_with_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe.key()
    monkeypatch.setattr(recipe, "MASKED", (*recipe.MASKED, "one-more.service"))
    assert recipe.key() != before


def test_a_site_without_clustered_services_has_the_smaller_image() -> None:
    assert recipe.key(clustered=True) != recipe.key()
    assert set(recipe.packages()) < set(recipe.packages(clustered=True))


def test_mmdebstrap_gets_this_hosts_sources_and_proxies() -> None:
    words = image.command(
        Path("/target"), ["a", "b"], ("/etc/apt/x.sources",), ('Acquire::http::Proxy "http://p:3128";',)
    )
    assert words[-3:] == [recipe.SUITE, "/target", "/etc/apt/x.sources"]
    assert '--aptopt=Acquire::http::Proxy "http://p:3128";' in words


def test_a_complete_build_gets_its_name_and_is_found_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds(monkeypatch, 'echo "I: extracting archives..."; sleep 0.5; mkdir "$1"')
    told: list[str] = []
    made = image.ensure(told.append)
    assert made.path == cache / recipe.key()
    assert "image: extracting archives..." in told
    assert image.ensure(told.append) == made
    assert image.cached() == (made,)


def test_a_failed_build_leaves_nothing_but_its_log_and_tells_why(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds(monkeypatch, 'mkdir "$1"; echo "E: apt-get update failed"; exit 25')
    with pytest.raises(VimhaError, match="could not be built: apt-get update failed") as caught:
        image.ensure(lambda _: None)
    assert "mirror in reach" in caught.value.remedy
    assert {path.name for path in cache.iterdir()} == {".lock", "build.log"}


def test_an_interrupted_build_ends_mmdebstrap_and_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds(monkeypatch, 'mkdir "$1"; echo $$ > "$1/pid"; echo "I: unpacking"; sleep 60')
    pids: list[int] = []

    def interrupt(line: str) -> None:
        if line == "image: unpacking":
            pids.append(int((cache / f".building-{recipe.key()}" / "pid").read_text()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        image.ensure(interrupt)
    assert not Path(f"/proc/{pids[0]}").exists()
    assert not list(cache.glob(".building-*"))


def test_what_a_killed_build_left_is_removed_by_the_next(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = cache / ".building-older"
    (left / "etc").mkdir(parents=True)
    builds(monkeypatch, 'mkdir "$1"')
    told: list[str] = []
    image.ensure(told.append)
    assert not left.exists()
    assert any("left by a build that was killed" in line for line in told)


def test_a_folder_that_is_being_built_is_no_image(cache: Path) -> None:
    (cache / ".building-x").mkdir()
    assert image.cached() == ()
    assert image.current() is None


def test_too_small_a_disk_is_told_with_what_is_needed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del cache
    usage = image.shutil.disk_usage("/")
    monkeypatch.setattr(image.shutil, "disk_usage", lambda _: usage._replace(free=100 * 10**6))
    with pytest.raises(VimhaError, match=r"has 100 MB left; the lab's image needs 2500 MB"):
        image.ensure(lambda _: None)


def test_only_root_builds(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del cache
    monkeypatch.setattr(image.os, "geteuid", lambda: 1000)
    with pytest.raises(VimhaError, match="only be built by root"):
        image.ensure(lambda _: None)


def test_images_in_use_are_not_removed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "abc").mkdir()
    monkeypatch.setattr(image, "_overlays", lambda: iter([f"overlay lowerdir={cache}/abc"]))
    with pytest.raises(VimhaError, match="a running lab uses the image"):
        image.remove()
    monkeypatch.setattr(image, "_overlays", lambda: iter([]))
    assert [each.key for each in image.remove()] == ["abc"]
    assert image.cached() == ()
