"""The image that lab nodes are overlays on: made once by mmdebstrap, kept under a key of what it is made of.

Invariant: a folder with the key's name is complete. A build happens in a temporary folder beside it, under a lock, and
is renamed at its end; what a killed build left is removed by the next one.
Measured on 2 cores with a near mirror: 72 s, 870 MB.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from vimha.errors import VimhaError
from vimha.lab import recipe
from vimha.process import checked, run, spawn

CACHE = Path("/var/cache/vimha-lab")
NEEDED_MB = 2500
"""870 MB of image, and as much again for packages and their unpacking while it is built; the rest is margin."""
BUILD_S = 900.0
_POLL_S = 0.2
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A complete image on this host."""

    path: Path

    @property
    def key(self) -> str:
        return self.path.name


def current(*, clustered: bool = False) -> Image | None:
    """The image of this version's recipe, when it is in the cache; the larger one serves every site."""
    paths = [CACHE / recipe.key(clustered=each) for each in sorted({clustered, True})]
    return next((Image(path) for path in paths if path.is_dir()), None)


def cached() -> tuple[Image, ...]:
    """All complete images in the cache, those of other versions too."""
    if not CACHE.is_dir():
        return ()
    return tuple(Image(path) for path in sorted(CACHE.iterdir()) if path.is_dir() and not path.name.startswith("."))


def ensure(progress: Progress, *, clustered: bool = False) -> Image:
    """The image, with a database and a message queue if `clustered`, built now when it is not in the cache.

    VimhaError without root, disk or a package source.
    """
    if (image := current(clustered=clustered)) is not None:
        return image
    _refuse_early()
    CACHE.mkdir(parents=True, exist_ok=True)
    with lock(progress):
        for left in CACHE.glob(".building-*"):
            progress(f"removing {left}, left by a build that was killed")
            remove_tree(left)
        return current(clustered=clustered) or _build(progress, clustered)


def remove() -> tuple[Image, ...]:
    """Remove every cached image and every rest of a build; returns the images. VimhaError while a lab uses one."""
    images = cached()
    if any(str(CACHE) in mount for mount in _overlays()):
        raise VimhaError("a running lab uses the image", "Take it down first: vimha lab down --all")
    if CACHE.is_dir():
        with lock(lambda _: None):
            for left in (*CACHE.glob(".building-*"), *CACHE.glob(".library-*"), *(image.path for image in images)):
                remove_tree(left)
    return images


def remove_tree(path: Path) -> None:
    """Remove `path` and all in it, after unmounting whatever is still mounted inside."""
    for mount in sorted(mounts_below(path), reverse=True):
        run(["umount", "--lazy", mount])
    shutil.rmtree(path, ignore_errors=True)


def mounts_below(path: Path) -> list[str]:
    """The mount points in `path`, it included."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point == str(path) or point.startswith(f"{path}/")]


def sources() -> tuple[str, ...]:
    """This host's apt sources that speak of the image's suite, as files; empty: mmdebstrap's own default mirror."""
    places = (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*")))
    return tuple(
        str(place)
        for place in places
        if place.suffix in {".list", ".sources"} and place.is_file() and recipe.SUITE in place.read_text()
    )


def command(
    target: Path, packages: Sequence[str], mirrors: tuple[str, ...], proxies: tuple[str, ...]
) -> list[str]:  # fmt: skip
    """mmdebstrap's argument vector for an image of `packages` in `target` from `mirrors` (files or URLs)."""
    return [
        "mmdebstrap", "--variant=minbase", "--mode=root", f"--include={','.join(packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.TRIMMED),
        "--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"',
        *(f"--aptopt={line}" for line in proxies),
        recipe.SUITE, str(target), *mirrors,
    ]  # fmt: skip


def _refuse_early() -> None:
    if os.geteuid() != 0:
        raise VimhaError("the lab's image can only be built by root", "Run it with sudo.")
    place = next(path for path in (CACHE, *CACHE.parents) if path.exists())
    free = shutil.disk_usage(place).free // 10**6
    if free < NEEDED_MB:
        raise VimhaError(
            f"{place} has {free} MB left; the lab's image needs {NEEDED_MB} MB while it is built",
            "Free some space, or mount a larger disk at /var/cache/vimha-lab.",
        )
    if shutil.which("mmdebstrap") is None:
        raise VimhaError("mmdebstrap is not installed", "apt install mmdebstrap systemd-container")


def _proxies() -> tuple[str, ...]:
    """The proxies that this host's apt is told to use."""
    lines = run(["apt-config", "dump", "Acquire"]).out.splitlines()
    return tuple(line for line in lines if "::Proxy " in line and '""' not in line)


def _build(progress: Progress, clustered: bool) -> Image:
    began = time.monotonic()
    key = recipe.key(clustered=clustered)
    building = CACHE / f".building-{key}"
    progress(f"building the lab's image in {CACHE}: {'two or three minutes' if clustered else 'a minute or two'}, once")
    try:
        _bootstrap(building, recipe.packages(clustered=clustered), progress)
        progress("image: configuring")
        _customise(building)
        os.sync()
        image = Image(building.rename(CACHE / key))
    except BaseException:
        remove_tree(building)
        raise
    progress(f"image: complete after {time.monotonic() - began:.0f} s")
    return image


def _bootstrap(target: Path, packages: Sequence[str], progress: Progress) -> None:
    """Run mmdebstrap and pass its own steps on; VimhaError with its last words when it fails."""
    log = CACHE / "build.log"
    log.unlink(missing_ok=True)
    proxies = {name: value for name, value in os.environ.items() if name.lower() in {"http_proxy", "https_proxy"}}
    process = spawn(command(target, packages, sources(), _proxies()), log=str(log), env=proxies)
    try:
        _follow(process, log, progress)
    finally:
        _end(process)
    if process.returncode != 0:
        raise VimhaError(
            f"the lab's image could not be built: {_complaint(log.read_text(errors='replace'))}",
            f"Is a Debian {recipe.SUITE} mirror in reach (apt-get update)? All of mmdebstrap's words: {log}",
        )


def _follow(process: subprocess.Popen[bytes], log: Path, progress: Progress) -> None:
    shown, end = 0, time.monotonic() + BUILD_S
    while process.poll() is None:
        if time.monotonic() > end:
            raise VimhaError(f"the lab's image was not built within {BUILD_S:g} s", f"Read {log}.")
        time.sleep(_POLL_S)
        steps = [line[3:] for line in log.read_text(errors="replace").splitlines() if line.startswith("I: ")]
        for step in steps[shown:]:
            progress(f"image: {step}")
        shown = len(steps)


def _complaint(log: str) -> str:
    lines = [line[3:].strip() for line in log.splitlines() if line.startswith("E: ")]
    return lines[0] if lines else "mmdebstrap left no message"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End mmdebstrap and all that it started (it unmounts what it mounted on SIGTERM)."""
    for number, wait_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)


def _customise(root: Path) -> None:
    """Files, units and glance's database; everything by path below `root`, nothing of this host's."""
    for path, text in recipe.FILES.items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    units = root / "etc/systemd/system"
    for unit in recipe.MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    wanted = units / "multi-user.target.wants"
    for wants in units.glob("*.wants"):
        for unit in recipe.DISABLED:
            (wants / unit).unlink(missing_ok=True)
    for unit in recipe.ENABLED:
        (wanted / unit).unlink(missing_ok=True)
        (wanted / unit).symlink_to(f"/lib/systemd/system/{unit}")
    checked(run(["chroot", str(root), *recipe.DATABASE], env={"HOME": "/var/lib/glance"}))
    for path in recipe.ABSENT:
        (root / path.lstrip("/")).unlink(missing_ok=True)
    (root / "var/log/journal").mkdir(exist_ok=True)


def _overlays() -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - overlay " in line:
            yield line


@contextmanager
def lock(progress: Progress) -> Iterator[None]:
    """One builder at a time on this host; a second one waits, and then finds the image complete."""
    with (CACHE / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another build of the lab's image")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
