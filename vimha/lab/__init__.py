"""Control nodes as machines on this host: image, networks, power, boot, and commands run in them."""
