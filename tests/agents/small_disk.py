"""A small ext4 file system in a file, for daemons whose disk is to run full."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vimha.process import checked, run


@contextmanager
def small_disk(folder: Path, mib: int, owner: str) -> Iterator[None]:
    """`folder` is the root of a file system of `mib` MiB, `owner`'s with mode 0700."""
    image = folder.parent / f"{folder.name}.img"
    with image.open("w") as file:
        file.truncate(mib << 20)
    checked(run(["mkfs.ext4", "-q", "-m", "0", str(image)]))
    checked(run(["mount", "-o", "loop", str(image), str(folder)]))
    try:
        (folder / "lost+found").rmdir()
        checked(run(["chown", f"{owner}:", str(folder)]))
        folder.chmod(0o700)
        yield
    finally:
        checked(run(["umount", str(folder)]))


def fill(folder: Path, leave_mib: int = 0) -> Path:
    """Take all room of the file system of `folder` but `leave_mib`; the file that takes it."""
    filler = folder / "filler"
    run(["fallocate", f"--length={left(folder) - (leave_mib << 20)}", str(filler)])
    assert left(folder) <= (leave_mib << 20)
    return filler


def left(folder: Path) -> int:
    """The bytes that the file system of `folder` has left."""
    return int(checked(run(["df", "--block-size=1", "--output=avail", str(folder)])).out.split()[-1])
