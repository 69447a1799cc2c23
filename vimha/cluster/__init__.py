"""A running cluster, or its files: read, check, simulate, change, and watch until it has settled."""
