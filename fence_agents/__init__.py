"""Fence agents, a file per agent, on the runtime in fence_agents/fencing. Standard library only."""
