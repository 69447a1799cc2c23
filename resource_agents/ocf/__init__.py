"""The runtime of vimha's OCF resource agents: declarations, one action's run, processes, HTTP, metadata."""
