"""All clients of one round together: the probes of the stateless services, the writers of the stateful ones.

Invariant: the writers start before the probes and a round's attempts of both are read together, so that one baseline
and one quiet time hold for all of them.
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from vimha.drill.alarms import AlarmBooks, AlarmService, Call
from vimha.drill.ledger import Audit
from vimha.drill.outage import Attempt
from vimha.drill.probes import Prober, Target
from vimha.drill.stage import Machines
from vimha.drill.stores import Books, Database, Front, Messaging, Store
from vimha.lab.cabling import CLIENT, Cabling
from vimha.site.model import Site

PATHS = {"glance-api": "/healthcheck"}
"""What a client asks of each kind of service."""


def targets(site: Site) -> tuple[Target, ...]:
    """What the client probes: every stateless service through its VIP by HTTP, and its port by TCP."""
    found = []
    for name, service in site.services.items():
        address = str(site.vips[site.vip_of(name)].address)
        found.append(Target(f"{name} http", "http", address, service.port, PATHS[service.kind]))
        found.append(Target(f"{name} tcp", "tcp", address, service.port))
    return tuple(found)


def stores(machines: Machines) -> dict[str, Store]:
    """The stateful services of the site that runs on `machines`, by their names in site.yaml."""
    site = machines.site
    runners = {node: machines.runner(node) for node in site.full_nodes()}
    fronts = {
        name: Front(str(site.vips[site.vip_of(name)].address), declared.port)
        for name, declared in site.stateful.items()
    }
    kinds: dict[str, type[Database | Messaging]] = {"database": Database, "messaging": Messaging}
    spares = {name: len(runners) - site.instances_of(name) for name in fronts}
    return {name: kinds[name](front, runners, spares[name]) for name, front in fronts.items()}


def alarm_service(machines: Machines) -> AlarmService | None:
    """The alarm service of the site that runs on `machines`, for a subscriber at the client's first address."""
    if machines.site.alarms is None:
        return None
    (_, own), *_ = Cabling("", machines.site).addresses(CLIENT)
    return AlarmService(machines.alarm_door(), str(own.ip))


class Clients:
    """The clients of one round, running; leaving ends them."""

    def __init__(
        self, machines: Machines, found: dict[str, Store], work: Path, alarms: AlarmService | None = None
    ) -> None:
        self._machines, self._stores, self._work, self._service = machines, found, work, alarms
        self._alarms: AlarmBooks | None = None
        self._books: dict[str, Books] = {}
        self._prober: Prober | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "Clients":
        netns = self._machines.netns(CLIENT)
        with ExitStack() as stack:
            if self._service:
                self._alarms = stack.enter_context(self._service.open(netns, self._work))
            for name, store in self._stores.items():
                self._books[name] = stack.enter_context(store.open(netns, self._work))
            if asked := targets(self._machines.site):
                self._prober = stack.enter_context(Prober(netns, asked, self._work / "probes"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read(self) -> dict[str, Sequence[Attempt]]:
        """Every attempt that has ended by now, by probe. VimhaError when a client died."""
        found: dict[str, Sequence[Attempt]] = dict(self._prober.read()) if self._prober else {}
        for books in self._books.values():
            found |= books.read()
        return found

    def serving(self, service: str) -> str | None:
        """The node whose member of `service` the writer's work ends up on; None when that service keeps no books."""
        return self._books[service].serving() if service in self._books else None

    def untold(self, expected: str, host: str) -> tuple[str, ...]:
        """What the alarm service's subscriber does not know of its alarms, in words, once it was told of `expected` on
        `host`, or long after. The cluster must be healthy.
        """
        return self._alarms.settle(expected, host) if self._alarms else ()

    def calls(self) -> tuple[Call, ...] | None:
        """Every alarm notification by now; None where there is no alarm service."""
        if self._alarms is None:
            return None
        self._alarms.read()
        return tuple(self._alarms.calls)

    def settle(self) -> Audit | None:
        """End the writing and audit every store; None where there is none. The cluster must be healthy."""
        return together(books.settle() for books in self._books.values())


def together(audits: Iterable[Audit]) -> Audit | None:
    """All `audits` as one; None when there is none."""
    found = list(audits)
    problems = tuple(problem for audit in found for problem in audit.problems)
    return Audit(sum(audit.lost for audit in found), problems) if found else None
