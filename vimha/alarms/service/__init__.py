"""The alarm service over HTTP: ETSI NFV-SOL 003 fault management (API version 1.3.0), and vimha's own resources.

Invariant: a request is refused before it costs anything (limits, then who asks, then what); what was answered with
success is in the store; every error is a ProblemDetails (RFC 7807, SOL013 6.3) and never a traceback.
"""
