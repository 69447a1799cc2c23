#!/bin/sh
# The guest's PID 1: loads the drivers, then runs the commands that come in on the second serial port, one a line,
# and ends each one's output with @@ and its exit code.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in tls failover net_failover virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci \
    virtio_net veth; do
    insmod /mod/$module.ko
done
insmod /mod/bonding.ko max_bonds=0
stty -F /dev/ttyS1 raw -echo
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
echo "@@0"
while read -r line; do
    eval "$line"
    echo "@@$?"
done
poweroff -f
