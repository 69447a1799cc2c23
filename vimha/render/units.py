"""What `vimha agents install` puts on a node beside the agents, for systemd: units, and users that no package makes.

Invariant: a unit does nothing on a node that has no configuration for it.
"""

from pathlib import PurePosixPath

FOLDER = PurePosixPath("/usr/lib/systemd/system")
DRAIN = """# vimha: brings Pacemaker's events to the alarm service; written by `vimha agents install`.
[Unit]
Description=vimha: from Pacemaker's alerts to the alarm service
ConditionPathExists=/etc/vimha/drain.json
After=network.target

[Service]
ExecStart=/usr/lib/vimha/alerts/vimha-drain
Restart=always
RestartSec=1
NoNewPrivileges=yes
"""
WITH_PACEMAKER = """# vimha: wherever Pacemaker runs, its events are brought to the alarm service.
[Unit]
Wants=vimha-drain.service
"""
USERS = """# vimha: who the alarm service and, with TLS, garbd run as; written by `vimha agents install`.
# systemd-sysusers makes them.
u vimha-alarms - "vimha alarm service" /var/lib/vimha
u vimha-garbd - "Galera arbitrator" /var/lib/vimha/garbd
"""
SYSUSERS = PurePosixPath("/usr/lib/sysusers.d/vimha.conf")
UNITS = {
    SYSUSERS: USERS,
    FOLDER / "vimha-drain.service": DRAIN,
    FOLDER / "pacemaker.service.d" / "vimha-drain.conf": WITH_PACEMAKER,
}
