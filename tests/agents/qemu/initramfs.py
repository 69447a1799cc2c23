"""A guest's kernel and initramfs: Debian's cloud kernel, busybox, python and our agents, in 15 MB.

Nothing here needs root, nor cpio: the archive format (newc, Documentation/driver-api/early-userspace/
buffer-format.rst of the kernel) is a header and a name per file.
"""

import gzip
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from vimha.process import checked, run
from vimha.render import agents

CACHE = Path("/var/cache/vimha-lab/kernel")
METAPACKAGE = "linux-image-cloud-amd64"
MODULES = (
    "net/tls/tls", "net/core/failover", "drivers/net/net_failover", "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio", "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci", "drivers/net/virtio_net", "drivers/net/veth", "drivers/net/bonding/bonding",
)  # fmt: skip
"""In the order of their dependencies."""
APPLETS = ("sh", "mount", "insmod", "cat", "echo", "sleep", "stty", "poweroff", "mkdir", "grep", "rm")
RECORDER = "#!/bin/sh\necho $* >> /run/attrd.log\n"
"""Stands for attrd_updater: the guest has no cluster, only the words that would be said to it."""


def kernel() -> Path:
    """A folder with `vmlinuz` and the modules of Debian's current cloud kernel, downloaded once."""
    depends = checked(run(["apt-cache", "depends", METAPACKAGE])).out
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    assert found, f"apt-cache knows no kernel for {METAPACKAGE}: {depends!r}"
    folder = CACHE / found[1]
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=".new-") as scratch:
            _download(found[1], Path(scratch))
            (Path(scratch) / "done").replace(folder)
    return folder


def _download(package: str, scratch: Path) -> None:
    argv = ["sh", "-c", 'cd "$0" && exec apt-get download -q -o APT::Sandbox::User=root "$1"', str(scratch), package]
    checked(run(argv, timeout_s=300))
    (deb,) = scratch.glob("*.deb")
    checked(run(["dpkg-deb", "-x", str(deb), str(scratch / "x")], timeout_s=120))
    (image,) = (scratch / "x/boot").glob("vmlinuz-*")
    (modules,) = (scratch / "x/lib/modules").iterdir()
    (scratch / "done").mkdir()
    shutil.copy(image, scratch / "done/vmlinuz")
    for module in MODULES:
        shutil.copy(modules / "kernel" / f"{module}.ko", scratch / "done")


def build(kernel_folder: Path, root: Path, target: Path) -> None:
    """Write the initramfs `target` from a tree that is made in `root`."""
    for folder in ("bin", "dev", "proc", "sys", "run", "tmp", "mod", "usr/bin", "usr/sbin"):
        (root / folder).mkdir(parents=True)
    _program(root, Path("/usr/bin/busybox"), "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    _program(root, Path("/usr/sbin/ip"), "bin/ip")
    for module in MODULES:
        shutil.copy(kernel_folder / f"{Path(module).name}.ko", root / "mod")
    _program(root, Path("/usr/bin/python3"), "usr/bin/python3")
    library = Path(run([agents.PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"]).out.strip())
    shutil.copytree(library / "encodings", root / library.relative_to("/") / "encodings")
    (root / library.relative_to("/") / "lib-dynload").mkdir()
    shutil.copy(library / "os.py", root / library.relative_to("/"))
    agents.install(root)
    _script(root / "usr/sbin/attrd_updater", RECORDER)
    _script(root / "init", (Path(__file__).parent / "init.sh").read_text())
    target.write_bytes(gzip.compress(_archive(root), compresslevel=1))


def _program(root: Path, program: Path, name: str) -> None:
    """Copy an executable and the libraries that it is linked with."""
    shutil.copy(program.resolve(), root / name)
    for library in re.findall(r"(/\S+)", run(["ldd", str(program)]).out):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(library).resolve(), target)


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _archive(root: Path) -> bytes:
    chunks = []
    for number, path in enumerate(sorted(root.rglob("*")), start=1):
        mode = path.lstat().st_mode
        data = os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else b""
        data = path.read_bytes() if stat.S_ISREG(mode) else data
        chunks.append(_entry(number, path.relative_to(root).as_posix(), mode, data))
    chunks.append(_entry(0, "TRAILER!!!", 0, b""))
    return b"".join(chunks)


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    numbers = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % value for value in numbers) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
