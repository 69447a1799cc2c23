"""The alarm service as a lab's nodes have it: a Python environment at /opt/vimha, in layers over the image.

Invariant: what it needs of others is fetched once for a list of requirements, and kept beside the images; vimha itself
is the very copy that makes the lab. On an operator's node the same place is made by pip (docs/alarms.md).
"""

import hashlib
import importlib.metadata
import os
import shutil
import sys
from importlib.resources import files
from pathlib import Path

from vimha.errors import VimhaError
from vimha.lab import image
from vimha.process import run

PLACE = Path("opt/vimha")
SITE_PACKAGES = PLACE / "lib" / "python3.11" / "site-packages"
"""Debian 12's Python."""
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
FETCH_S = 600
PACKAGES = ("vimha", "vimha_cli", "cib_templates", "resource_agents", "fence_agents")
LAUNCHER = "#!/opt/vimha/bin/python -I\nfrom vimha_cli.main import main\n\nmain()\n"
VENV = "home = /usr/bin\ninclude-system-site-packages = false\n"


def requirements() -> tuple[str, ...]:
    """What vimha needs with its extra `alarms`."""
    found = []
    for line in importlib.metadata.requires("vimha") or ():
        name, _, marker = (part.strip() for part in line.partition(";"))
        if not marker or marker == 'extra == "alarms"':
            found.append(name)
    return tuple(sorted(found))


def layer(progress: image.Progress) -> Path:
    """The folder with an environment of all requirements, made now when it is not in the cache; VimhaError when they
    cannot be fetched.
    """
    wanted = requirements()
    place = image.CACHE / f".library-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:16]}"
    if place.is_dir():
        return place
    image.CACHE.mkdir(parents=True, exist_ok=True)
    with image.lock(progress):
        if not place.is_dir():
            progress("fetching what the alarm service needs (40 MB), once")
            _make(place, wanted)
    return place


def _make(place: Path, wanted: tuple[str, ...]) -> None:
    building = image.CACHE / f".building-{place.name.lstrip('.')}"
    try:
        image.remove_tree(building)
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        argv = [
            sys.executable, "-m", "pip", "install", "--quiet", "--target", str(building / SITE_PACKAGES),
            "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11", *platforms, *wanted,
        ]  # fmt: skip
        done = run(argv, timeout_s=FETCH_S, env=_settings())
        if not done.ok:
            said = done.err.strip().splitlines() or [f"exit {done.code}"]
            raise VimhaError(
                f"what the alarm service needs cannot be fetched: {said[-1]}", "Is a package index in reach?"
            )
        programs = building / PLACE / "bin"
        programs.mkdir()
        (programs / "python").symlink_to("/usr/bin/python3")
        (building / PLACE / "pyvenv.cfg").write_text(VENV)
        building.rename(place)
    except BaseException:
        image.remove_tree(building)
        raise


def install(root: Path) -> None:
    """Put vimha itself into the environment below `root`, with the bytecode that there is."""
    for package in PACKAGES:
        shutil.copytree(str(files(package)), root / SITE_PACKAGES / package)
    launcher = root / PLACE / "bin" / "vimha"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)


def _settings() -> dict[str, str]:
    """How this host's pip is told where its index is."""
    names = ("HOME", *(name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")))
    return {name: os.environ[name] for name in names if name in os.environ}
