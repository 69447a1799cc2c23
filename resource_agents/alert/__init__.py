"""From Pacemaker to the alarm service: the alert agent, and the daemon that empties its spool (row B1)."""
