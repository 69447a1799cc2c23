"""The lab's BMCs: one process that serves every node's Redfish and IPMI, outside the nodes.

Invariant: a BMC shows and switches its own node only, and what it reports is what the lab's Power says at that
moment. The process lives on the host; only its sockets (and its ipmi_sims) are in the BMCs' network namespace, so
that switching power works as it does from the lab's command line. (`ip netns exec` would give it mounts of its own.)
"""

from vimha.lab.bmc.config import BmcConfig, Endpoint, new_password
from vimha.lab.bmc.daemon import start, wait_ready

__all__ = ["BmcConfig", "Endpoint", "new_password", "start", "wait_ready"]
