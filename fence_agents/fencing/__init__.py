"""The runtime that fence agents stand on: options, metadata, credentials, deadlines and the order of power actions.

Invariant: `off` is reported done only after it was read back; whatever cannot be verified in time is a failure.
Standard library only, and little of it before a device is spoken to: Pacemaker reads metadata often.
"""
