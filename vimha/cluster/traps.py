"""Known traps, on any cluster's configuration: ours as rendered, or a foreign one.

Invariant: only files are read here; what the scheduler makes of them is policy.py's. A rendered site has no trap.
"""

from vimha.cluster import traps_corosync, traps_fencing, traps_operations, traps_resources
from vimha.cluster.cib import Cib
from vimha.cluster.corosync_conf import Conf
from vimha.findings import Finding

OBJECTIVE_MS = 5000
"""What a failover may take, where no site says otherwise: requirement A8, detection included."""


def check(
    cib: Cib | None,
    conf: Conf | None,
    *,
    objective_ms: int = OBJECTIVE_MS,
    where: str = "corosync.conf",
    budgeted: bool = False,
) -> list[Finding]:
    """Every trap in a CIB and a corosync.conf, either of which may be missing.

    `objective_ms`: the longest outage that clients may see. `where`: the corosync.conf's name in findings. `budgeted`:
    a whole budget judges the membership's timings, so they are not judged here by rule of thumb.
    """
    judged = traps_corosync.Judged(conf, where) if conf else None
    found: list[Finding] = []
    if cib is not None:
        found += traps_operations.check(cib)
        found += traps_resources.check(cib, objective_ms)
        found += traps_fencing.check(cib, judged.detection if judged else None)
    if judged is not None:
        found += traps_corosync.check(judged, cib, None if budgeted else objective_ms)
    return found
