"""What the VIP's agent knows of addresses: the kernel's interfaces and addresses, and how neighbours are told."""
