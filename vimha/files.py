"""Writing files so that a reader sees the old content or the new, never a half.

Invariant: temp file in the same folder, fsync, rename, fsync of the folder. Only what can be made again at any time
may go without the fsyncs.
"""

import os
import tempfile
from pathlib import Path


def write_atomic(path: Path, content: bytes | str, mode: int = 0o644, *, durable: bool = True) -> None:
    """Put `content` at `path` with permission bits `mode`, making its folders; all or nothing.

    When it returns, the content is on the disk, unless `durable` is False.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if not durable:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
