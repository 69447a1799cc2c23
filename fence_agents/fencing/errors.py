"""What can go wrong with a fencing device, in the two kinds that the power loop must tell apart.

Invariant: a message is one line for an operator, and never holds a secret.
"""


class FenceError(Exception):
    """The action failed, and asking again cannot help: a bad option, a wrong password, an untrusted certificate."""


class NoAnswerError(FenceError):
    """The device gave no usable answer this time (dropped, silent, HTTP 5xx, garbage): worth asking again."""
