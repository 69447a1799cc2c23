"""What a store answers when it cannot do what it is asked for; each maps to one HTTP status."""

from vimha.errors import VimhaError


class StoreError(VimhaError):
    """The database did not take a write, or did not answer, within the time that was given (503)."""


class FullError(StoreError):
    """More events wait than the store takes in (503)."""


class UnknownAlarmError(VimhaError):
    """There is no such alarm, neither active nor in the history (404)."""


class AlreadySoError(VimhaError):
    """The alarm is in that state already, or is cleared and takes no such change any more (409)."""


class ChangedError(VimhaError):
    """The alarm is not the version that the asker saw (412)."""
