"""The commented starters that `vimha init` writes, one per scale.

Invariant: each is a good site as it stands: it has no finding, and only its addresses need to be changed.
"""

from importlib.resources import files
from pathlib import Path

from vimha.errors import UsageError
from vimha.files import write_atomic
from vimha.site.model import Scale


def text(scale: Scale) -> str:
    """The starter for `scale`."""
    return files(__name__).joinpath(f"{scale}.yaml").read_text(encoding="utf-8")


def write(path: Path, scale: Scale, *, force: bool = False) -> None:
    """Write the starter for `scale` to `path`; UsageError when there is something already, unless `force`."""
    if (path.exists() or path.is_symlink()) and not force:
        raise UsageError(f"{path}: exists already", "Choose another name, or replace it with --force.")
    try:
        write_atomic(path, text(scale))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
