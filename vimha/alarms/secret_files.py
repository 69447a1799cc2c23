"""Files that hold secrets.

Invariant: what others than its owner may read or change is not read.
"""

import os
from pathlib import Path

from vimha.errors import UsageError


def lines(path: Path) -> list[str]:
    """The lines of a file that only its owner may read; UsageError when others may, or it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            if mode & 0o077:
                raise UsageError(f"{path}: others may read or change it (mode {mode:o})", f"Run: chmod 600 {path}")
            return file.read().splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error


def first_line(path: Path) -> str:
    """Its first line, empty when it has none; UsageError as above."""
    return next(iter(lines(path)), "")
