"""OCF resource agents, a file per agent, on the runtime in resource_agents/ocf. Standard library only."""
