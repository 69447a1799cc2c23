"""The findings about rendered artefacts, R001 and on.

Invariant: as for every room, a finding of this one is one of these rules.
"""

from vimha.findings import Rule, Severity

NO_SCHEMA = Rule(
    "R001", Severity.WARNING, "no Pacemaker schema on this machine",
    "Without Pacemaker's own schema only the form of the CIB was checked: a misspelt element is found only when the"
    " cluster refuses it.",
    "Install Pacemaker on this machine (Debian: pacemaker-common), or validate on a control node.",
)  # fmt: skip
NOT_XML = Rule(
    "R002", Severity.ERROR, "not well-formed XML",
    "Pacemaker cannot load the file at all.",
    "Mend the text at this line.",
)  # fmt: skip
SCHEMA = Rule(
    "R003", Severity.ERROR, "a CIB that breaks Pacemaker's schema",
    "Pacemaker refuses such a configuration as a whole; nothing of it takes effect.",
    "Correct the element at this line; `crm_verify -V -x FILE` says what Pacemaker makes of it.",
)  # fmt: skip
DUPLICATE_ID = Rule(
    "R004", Severity.ERROR, "an id used twice in the CIB",
    "Constraints and history refer to objects by id; with two of a name Pacemaker refuses the CIB, or means the other.",
    "Rename one; in site.yaml, a service may not be called as what vimha makes itself: front, haproxy, ports, vip-...,"
    " fence-..., ...-clone.",
)  # fmt: skip
DANGLING = Rule(
    "R005", Severity.ERROR, "a reference to nothing",
    "A constraint on a resource that does not exist is ignored in silence: what it should bring together is not.",
    "Correct the name, or remove the constraint.",
)  # fmt: skip

RULES = (NO_SCHEMA, NOT_XML, SCHEMA, DUPLICATE_ID, DANGLING)
