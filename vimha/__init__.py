"""vimha: high availability for the control plane of an OpenStack VIM.

Rooms, from the top: drill, lab, cluster, render, timing, site; imports run downwards only.
The ground that all of them stand on is here: errors, process, files, findings.
"""

__version__ = "0.1.0"
