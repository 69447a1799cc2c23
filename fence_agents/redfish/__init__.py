"""The Redfish protocol, as far as fencing needs it: the power state of one system, and its reset action."""
