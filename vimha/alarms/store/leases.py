"""Who does what for all nodes: leases, which end by themselves when their owner does not renew them.

Invariant: at most one owner at a time, whatever the wall clocks say. A lease is a counter: its owner counts it up
to renew it; whoever else wants it takes it only after having watched the same count for the lease's seconds, on its
own monotonic clock. An owner that could not renew for that long must stop by itself.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select, update

from vimha.alarms.store.schema import LEASE


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a lease of somebody else, and when (monotonic seconds) first."""

    owner: str
    beat: int
    since_s: float


@dataclass
class Leases:
    """This process's view of the leases; `clock` is monotonic, in seconds. For one thread at a time."""

    clock: Callable[[], float]
    sights: dict[str, Sight] = field(default_factory=dict)

    def hold(self, connection: Connection, names: Collection[str], owner: str, seconds: float) -> set[str]:
        """Take or renew the leases `names`; those that `owner` holds then, until `seconds` from the call on."""
        query = select(LEASE).where(LEASE.c.name.in_(names))
        known = {row.name: row for row in connection.execute(query)}
        held = set()
        for name in names:
            row = known.get(name)
            if row is None:
                connection.execute(insert(LEASE).values(name=name, owner=owner, beat=1))
            elif row.owner == owner or self._ended(name, row.owner, row.beat, seconds):
                same = (LEASE.c.name == name) & (LEASE.c.owner == row.owner) & (LEASE.c.beat == row.beat)
                if not connection.execute(update(LEASE).where(same).values(owner=owner, beat=row.beat + 1)).rowcount:
                    continue
            else:
                continue
            held.add(name)
            self.sights.pop(name, None)
        return held

    def _ended(self, name: str, owner: str, beat: int, seconds: float) -> bool:
        sight = self.sights.get(name)
        if sight is None or (sight.owner, sight.beat) != (owner, beat):
            self.sights[name] = Sight(owner, beat, self.clock())
            return False
        return self.clock() - sight.since_s >= seconds


def release(connection: Connection, names: Collection[str], owner: str) -> None:
    """Give leases back, so that the next one need not wait."""
    connection.execute(delete(LEASE).where(LEASE.c.name.in_(names), LEASE.c.owner == owner))
