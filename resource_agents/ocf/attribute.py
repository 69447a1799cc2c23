"""A node attribute that an agent publishes, so that constraints can follow what it sees.

Invariant: attrd_updater runs only when the value changed, when Pacemaker was restarted (its attribute daemon may have
forgotten the value), and every `REFRESH_S`, so that a value that got lost some other way, an operator's slip too,
heals by itself: a lost value would keep the VIPs off a healthy node. An update that changes nothing costs the cluster
nothing: the attribute daemon drops it.
"""

from resource_agents.ocf.system import System

UPDATER = "/usr/sbin/attrd_updater"
FOLDER = "/run/resource-agents"
REFRESH_S = 5.0
NO_SUCH_ATTRIBUTE = 105
"""CRM_EX_NOSUCH (Pacemaker's include/crm/common/results.h): nobody has set it since the cluster started."""


class Attribute:
    """The transient node attribute `name` of this node, or of `node`; a file under /run keeps what was published last.

    A `private` one is known to the attribute daemons only: it never reaches the CIB, so it starts no transition.
    """

    def __init__(
        self, system: System, name: str, parent: int | None = None, *, private: bool = False, node: str = ""
    ) -> None:
        self._system = system
        self._name = name
        self._options = ["--private"] if private else []
        self._node = ["--node", node] if node else []
        self._parent = system.parent if parent is None else parent
        self._file = f"{FOLDER}/{name}.{node}.attribute" if node else f"{FOLDER}/{name}.attribute"

    def published(self) -> str | None:
        """The value last published; None before the first and after `clear`."""
        text = self._system.read(self._file)
        return None if text is None else text.partition("\n")[0]

    def publish(self, value: str, timeout_s: float) -> list[str]:
        """Make `value` known to the cluster if it may not be; why it was not taken, if it was not.

        What failed is tried again at the next call.
        """
        text = f"{value}\n{self._era()}\n"
        age = self._system.age(self._file)
        if age is not None and 0 <= age < REFRESH_S and self._system.read(self._file) == text:
            return []
        argv = [UPDATER, "--name", self._name, "--update", value, *self._node, *self._options]
        code, said = self._system.run(argv, timeout_s)
        self._system.write(self._file, text if code == 0 else f"{value}\nnot taken\n")
        return _trouble(code, said)

    def keep(self, value: str) -> None:
        """Take `value` for published, where nobody else is to know it."""
        self._system.write(self._file, f"{value}\n{self._era()}\n")

    def forget(self) -> None:
        """Have the next `publish` reach the cluster, whatever was published before."""
        self._system.remove(self._file)

    def seen(self, timeout_s: float) -> dict[str, str]:
        """Every node's value as this node's attribute daemon knows it now, by node name; without those that have none.

        OSError when the daemon does not tell. All daemons apply all updates in the same order, so whoever sees its own
        update here sees all that came before it.
        """
        code, said = self._system.run([UPDATER, "--name", self._name, "--query", "--all"], timeout_s)
        found = {}
        for line in said.splitlines():
            host, value = _quoted(line, "host"), _quoted(line, "value")
            if host and value:
                found[host] = value
        if code and not (code == NO_SUCH_ATTRIBUTE or found):
            raise OSError(_trouble(code, said)[0])
        return found

    def clear(self, timeout_s: float) -> list[str]:
        """Delete the attribute and forget it; why the cluster did not, if it did not."""
        code, said = self._system.run([UPDATER, "--name", self._name, "--delete", *self._node], timeout_s)
        self._system.remove(self._file)
        return _trouble(code, said)

    def _era(self) -> str:
        """Which run of Pacemaker this is: our parent, its executor, and when that was started (proc(5))."""
        fields = (self._system.read(f"/proc/{self._parent}/stat") or "").rpartition(")")[2].split()
        return f"{self._parent} {fields[19]}" if len(fields) > 19 else ""


def _quoted(line: str, name: str) -> str:
    """The value of name="..." in one line of attrd_updater's answer."""
    return line.partition(f' {name}="')[2].partition('"')[0]


def _trouble(code: int, said: str) -> list[str]:
    return [] if code == 0 else [f"attrd_updater: {' '.join(said.split()) or f'exit {code}'}"]
