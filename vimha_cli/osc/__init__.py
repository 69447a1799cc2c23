"""`openstack vim alarm ...`: the alarm service for users of python-openstackclient (a plug-in, by its entry points).

Invariant: who asks, and whom to trust, is what `openstack` was told; the service itself is asked by vimha's client.
"""
