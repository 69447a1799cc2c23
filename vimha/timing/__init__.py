"""The failover budget: what each fault costs a client at worst, and the timings that keep it under the objective."""
