"""The alarm service: every failure known, located, kept and delivered (rows B1, B2, B4, B5, B6, B8).

Rooms: `words` and `model` (what an alarm is), `catalogue` (which there are), `machine` (how one lives), `store` (where
they are kept), `sol` (how they look outside), `sources` (what turns events into alarms), `delivery` (how they reach
subscribers), `service` (HTTP), `client` (who asks).
"""
