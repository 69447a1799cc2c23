#!/bin/sh
# Makes a Vagrant machine a control node: packages, the bond, the artefacts that `vimha render` wrote, the agents.
# Arguments: node name, folder of the rendered artefacts (below the project), the node's addresses in the planes' order.
# Environment: PACKAGES, the lab image's package list for this site; EXTRA, what vimha needs besides for it.
set -eu
node=$1 out=/vagrant/$2
shift 2
[ -d "$out/$node" ] || { echo "no artefacts for $node in $out: run 'vimha render' first" >&2; exit 1; }

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # the list is words
apt-get install -y -qq --no-install-recommends $PACKAGES python3-venv systemd-resolved >/dev/null

# The two plane ports become a bond that watches its carrier (miimon): A7. eth0 stays Vagrant's own.
cat >/etc/systemd/network/10-bond0.netdev <<NETDEV
[NetDev]
Name=bond0
Kind=bond

[Bond]
Mode=active-backup
MIIMonitorSec=50ms
NETDEV
printf '[Match]\nName=eth1 eth2\n\n[Network]\nBond=bond0\n' >/etc/systemd/network/10-ports.network
{
	printf '[Match]\nName=bond0\n\n[Network]\n'
	for address in "$@"; do printf 'Address=%s/24\n' "$address"; done
} >/etc/systemd/network/10-bond0.network
systemctl enable --now systemd-networkd

cp -a "$out/$node/." /
sysctl --quiet --system
[ -x /opt/vimha/bin/vimha ] || python3 -m venv /opt/vimha
/opt/vimha/bin/pip install --quiet "/vagrant$EXTRA"
# What Pacemaker starts, systemd must not: Debian's packages have started theirs.
for unit in $(/opt/vimha/bin/python -c 'from vimha.lab.recipe import DISABLED; print(*DISABLED)'); do
	[ "$(systemctl is-enabled "$unit" 2>/dev/null || true)" != enabled ] || systemctl disable --quiet --now "$unit"
done
/opt/vimha/bin/vimha agents install
systemd-sysusers /usr/lib/sysusers.d/vimha.conf
systemctl enable corosync pacemaker
systemctl restart corosync pacemaker
