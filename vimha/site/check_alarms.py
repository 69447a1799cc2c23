"""Rules about the alarm service: what its store survives, and who can read along."""

from collections.abc import Iterator

from vimha.site import rules
from vimha.site.hits import Hit
from vimha.site.model import Scale, Site
from vimha.site.yamltext import Path

ALARMS: Path = ("alarms",)
POLICY: Path = (*ALARMS, "policy")


def store(site: Site) -> Iterator[Hit]:
    """Alarms that survive the loss of a node, and one list of them."""
    if site.alarms is None or site.database is not None:
        return
    if site.alarms_everywhere:
        path = POLICY if site.alarms.policy else ALARMS
        message = f"an alarm service on each of {len(site.full_nodes())} nodes, and no `database`"
        yield Hit(rules.SPLIT_ALARMS, path, message, about=(("scale",), ("database",)))
    else:
        message = "`alarms` without `database`: its store is a file on the node where it runs"
        yield Hit(rules.LOST_ALARMS, ALARMS, message, about=(("database",),))


def policy(site: Site) -> Iterator[Hit]:
    """The scale's kind of redundancy (A6)."""
    if site.alarms and site.alarms.policy == "active-standby" and site.scale is Scale.LARGE:
        yield Hit(rules.STANDBY_LARGE, POLICY, "`alarms` is active-standby in a large site", about=(("scale",),))


def certificate(site: Site) -> Iterator[Hit]:
    """Tokens that nobody reads on their way."""
    if site.alarms and not site.alarms.certificate:
        yield Hit(rules.PLAIN_ALARMS, (*ALARMS, "certificate"), "the alarm service is asked over plain HTTP")


CHECKS = (store, policy, certificate)
