"""What the lab's image is made of: packages, the files that differ from Debian's defaults, and the units left out.

Invariant: everything that shapes the image is data in this module or in packages*.txt, and `key` covers all of it: an
image with the same key is the same image.
"""

import hashlib
import json
from importlib.resources import files

SUITE = "bookworm"

TRIMMED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
"""Left out by dpkg: nobody reads manuals in a lab node."""

MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "e2scrub_reap.service", "iscsid.service", "iscsid.socket", "open-iscsi.service", "systemd-pstore.service",
    "systemd-logind.service", "systemd-networkd.service", "systemd-resolved.service", "systemd-udevd.service",
    "getty.target", "console-getty.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount", "dev-hugepages.mount", "modprobe@.service", "systemd-modules-load.service",
    "systemd-journal-flush.service",
)  # fmt: skip
"""Units that mean nothing in a machine without hardware of its own. iscsid alone kept a boot waiting for 90 s."""

ENABLED = ("corosync.service", "pacemaker.service")
DISABLED = (
    "epmd.service", "epmd.socket", "garb.service", "glance-api.service", "haproxy.service", "logd.service",
    "mariadb.service", "rabbitmq-server.service", "remote-fs.target", "rsync.service",
)  # fmt: skip
"""What Pacemaker starts, systemd must not."""

GLANCE = """# Written by vimha lab: sqlite and a file store on this node alone, no keystone (Debian's paste default).
[DEFAULT]
workers = 1
log_file = /var/log/glance/glance-api.log

[database]
connection = sqlite:////var/lib/glance/glance.sqlite

[glance_store]
stores = file
default_store = file
filesystem_store_datadir = /var/lib/glance/images

[oslo_concurrency]
lock_path = /var/lib/glance/lock
"""

FILES = {
    "/etc/glance/glance-api.conf": GLANCE,
    # The machine sees its own network sysctls only; the unit would otherwise skip itself or fail on the host's.
    "/etc/systemd/system/systemd-sysctl.service.d/lab.conf": (
        "[Unit]\nConditionPathIsReadWrite=\nConditionPathIsReadWrite=/proc/sys/net\n"
        "[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-sysctl --prefix=/net\n"
    ),
    "/etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nForwardToConsole=no\n",
    "/etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=20s\nShowStatus=yes\nLogColor=no\n",
}

DATABASE = ("setpriv", "--reuid=glance", "--regid=glance", "--clear-groups", "glance-manage", "db_sync")
"""Run in the image, so that every node starts with the schema (2 s once, not at every boot)."""

ABSENT = ("/etc/machine-id", "/etc/hostname", "/etc/corosync/corosync.conf", "/var/lib/dbus/machine-id")
"""Each node's own; corosync refuses to start rather than start with Debian's sample."""


def packages(*, clustered: bool = False) -> tuple[str, ...]:
    """The Debian packages of a control node, from packages.txt; those of the clustered services too, if wanted."""
    lists = ("packages.txt", "packages-clustered.txt")[: 1 + clustered]
    lines = (line for name in lists for line in files("vimha.lab").joinpath(name).read_text().splitlines())
    words = (line.partition("#")[0].strip() for line in lines)
    return tuple(word for word in words if word)


def key(*, clustered: bool = False) -> str:
    """The image's name: a hash over everything in this module and the lists of packages."""
    shape = [SUITE, packages(clustered=clustered), TRIMMED, MASKED, ENABLED, DISABLED, FILES, DATABASE, ABSENT]
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]
