"""What a Galera member knows: the state on its disk, its status, and who may begin a cluster."""
