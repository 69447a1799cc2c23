"""The one root of vimha's exceptions, and the exit code that each kind maps to.

Invariant: what a user can cause is a `VimhaError` with one clear message; anything else is a defect.
"""


class VimhaError(Exception):
    """A failure to tell the user about: what happened, where, and what to do (`remedy`)."""

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(VimhaError):
    """Input that cannot be read or asked for at all (exit 2): a missing file, a bad option."""

    exit_code = 2


class ProcessError(VimhaError):
    """A command that we ran failed, could not be started, or overran its deadline."""
