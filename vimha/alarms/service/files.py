"""Files that hold secrets."""

from pathlib import Path

from vimha.errors import UsageError


def secret(path: Path) -> str:
    """The first line of a file that only its owner may read; UsageError."""
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise UsageError(f"{path}: others may read or change it (mode {mode:o})", f"chmod 600 {path}")
        return path.read_text().split("\n", 1)[0]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
