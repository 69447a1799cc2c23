"""A broker's database on disk (Mnesia's folder), while its Erlang VM does not run.

Invariant: nothing is removed but what this agent itself let RabbitMQ make while joining, before any client could reach
it: the folder of a node that had none, marked by a file beside it for as long as that is so; and what was set aside,
when another one is.
"""

import re
import shutil
from pathlib import Path

from resource_agents.amqp.served import last
from resource_agents.amqp.word import Word
from resource_agents.ocf.agent import INSTALLED, OcfError
from resource_agents.ocf.system import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

TABLES = frozenset(("schema.DAT", "msg_stores", "quorum"))
"""Any of these tells that there are data: the tables' own list, messages, quorum queues' logs."""
RECORDS = {
    "cluster_nodes.config": re.compile(r"\s*\{\s*\[.*rabbit@.*\],\s*\[.*\]\s*\}\.\s*", re.DOTALL),
    "nodes_running_at_shutdown": re.compile(r"\s*\[.*\]\.\s*", re.DOTALL),
}
"""What a database knows of its cluster, and the Erlang term that each file holds (rabbit_node_monitor). RabbitMQ writes
them in place, so that a loss of power may leave them empty.
"""
_ATOM = re.compile(r"'rabbit@([^']+)'|rabbit@([\w.]+)")


def names(text: str) -> frozenset[str]:
    """The host parts of the rabbit@HOST atoms in an Erlang term."""
    return frozenset(quoted or plain for quoted, plain in _ATOM.findall(text))


class Database:
    """The database of the node `rabbit@name` under the folder `base`."""

    def __init__(self, system: System, base: str, name: str) -> None:
        self._system = system
        self.base = base
        self.name = name
        self.folder = f"{base}/rabbit@{name}"
        self._marker = f"{base}/vimha-joining@{name}"
        self.aside = f"{base}/vimha-set-aside@{name}"

    def blank(self) -> bool:
        """True when there is no database, or one that a join which did not end left behind."""
        return self.joining() or not (self.members() or self._filled())

    def check(self) -> None:
        """OcfError(INSTALLED) when there is a database whose records of its cluster are lost: without them it would be
        taken for an empty one, or for the one that ran last.
        """
        if self.joining() or not self._filled():
            return
        for name, shape in RECORDS.items():
            text = self._system.read(f"{self.folder}/{name}")
            if text is None or not shape.fullmatch(text):
                raise OcfError(
                    INSTALLED,
                    f"{'lost' if text is None else 'corrupt'}: {self.folder}/{name}; the messages beside it are not "
                    f"touched. Where peers have them too, move {self.folder} away, and this node joins anew; else "
                    "restore that file",
                )

    def _filled(self) -> bool:
        return bool(TABLES & set(self._system.names(self.folder)))

    def members(self) -> frozenset[str]:
        """All nodes of the cluster that it belongs to; none when there is no database."""
        return names((self._system.read(f"{self.folder}/cluster_nodes.config") or "").partition("],[")[0])

    def ran(self) -> frozenset[str]:
        """Who ran when the broker last knew, itself included; empty when it is blank."""
        if self.blank():
            return frozenset()
        return names(self._system.read(f"{self.folder}/nodes_running_at_shutdown") or "") | {self.name}

    def word(self, phase: str, members: "Collection[str]", cookie: str) -> Word:
        """What this node tells of it, of the site's `members` alone."""
        of = frozenset() if self.blank() else self.members() | {self.name}
        site = frozenset(members)
        return Word(phase, ran=self.ran() & site, of=of & site, served=last(self._system, self.base), cookie=cookie)

    def set_aside(self) -> None:
        """Be blank from here on; what there was is kept, until the next time."""
        root = self._system.root
        shutil.rmtree(root + self.aside, ignore_errors=True)
        Path(root + self.folder).rename(root + self.aside)

    def joining(self) -> bool:
        """True while a node that had no database is becoming a member."""
        return self._system.read(self._marker) is not None

    def begin_join(self) -> None:
        """Mark that what is written from here on is nobody's data yet; remove what an earlier try left."""
        if not self.blank():
            raise ValueError(f"{self.folder} holds a database")
        self._system.replace(self._marker, "")
        shutil.rmtree(self._system.root + self.folder, ignore_errors=True)

    def end_join(self) -> None:
        """The database is a member's now."""
        self._system.remove(self._marker)
