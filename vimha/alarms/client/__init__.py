"""Who asks the alarm service: a client over HTTP, for the command line and the `openstack` plug-in.

Invariant: what can go wrong is a `ClientError` with one clear message; secrets come from files that only their owner
may read, and go to the service that was named, nowhere else.
"""
