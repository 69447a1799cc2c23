"""Delivery: from the store's outbox to subscribers' callbacks, SNMP managers and message queues.

Invariant: whoever is to be told gets every notification at least once, those of one alarm in the order of their
commits, each with the same identifier however often it is sent; across a kill -9 of the service and a change of nodes
too. A slow or dead subscriber delays nobody else.
"""
