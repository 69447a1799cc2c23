"""A Galera member's datadir: what it holds, and the few files in it that the agent may write.

Invariant: databases are never touched. Written are grastate.dat (made again from the recovered position when it is
lost; safe_to_bootstrap when this node was elected), gvwstate.dat (set aside, put back) and markers of our own.
Only a folder that holds nothing at all is initialised.
"""

from resource_agents.ocf.agent import INSTALLED, OcfError
from resource_agents.ocf.system import System
from resource_agents.wsrep.room import lack
from resource_agents.wsrep.state import NIL, Saved, View, parse_saved, parse_view, render_saved
from resource_agents.wsrep.word import ALONE, BLANK, ELECT, EMPTY, STATE, TORN, Word

SYSTEM_SCHEMAS = frozenset({"mysql", "performance_schema", "sys", "test", "lost+found"})
MARKER = "vimha-elected"
"""There while safe_to_bootstrap was set by us: a crash in between must not make it look like Galera's own word."""
ASIDE = "vimha-gvwstate.dat"
"""The last view, once Galera shall not go back to it: it still says who may be ahead."""
INSTALLING = "vimha-installing"


class Datadir:
    """The folder `path` of the system user `user`."""

    def __init__(self, system: System, path: str, user: str) -> None:
        self._system = system
        self.path = path.rstrip("/")
        self._user = user

    def check(self) -> None:
        """OcfError(INSTALLED) unless mariadbd can live here."""
        access = self._system.access(self.path)
        if access is None:
            raise OcfError(INSTALLED, f"datadir {self.path} does not exist on this node: mount or make it")
        owner, mode = access
        if self._user and (owner != self._user or mode & 0o700 != 0o700):
            raise OcfError(
                INSTALLED,
                f"datadir {self.path} is {owner}'s with mode {mode:04o}, so {self._user} cannot use it: "
                f"chown {self._user}: {self.path}; chmod 0700 {self.path}",
            )
        if short := lack(self._system, self.path):
            raise OcfError(INSTALLED, f"{short}: make room there; nothing has been touched")

    def empty(self) -> bool:
        """True when it holds nothing, or what an earlier initialisation left half done."""
        names = set(self._system.names(self.path)) - {"lost+found"}
        return not names or INSTALLING in names

    def begin_install(self) -> None:
        """Mark that its content will be ours until `end_install`."""
        self._system.replace(f"{self.path}/{INSTALLING}", "mariadb-install-db has not finished\n")

    def end_install(self) -> None:
        self._system.remove(f"{self.path}/{INSTALLING}")

    def saved(self) -> Saved | None:
        """grastate.dat, None when there is none, or an empty one, which a first start that failed leaves behind;
        OcfError(INSTALLED) when it is corrupt.

        A safe_to_bootstrap of our own making is taken back first.
        """
        path = f"{self.path}/grastate.dat"
        text = self._system.read(path)
        if not (text and text.strip()):
            return None
        try:
            saved = parse_saved(text)
        except ValueError as error:
            raise OcfError(
                INSTALLED, f"corrupt {path}: {error}; move it away: it is made again from the position in the database"
            ) from error
        if self._system.read(f"{self.path}/{MARKER}") is not None:
            saved.safe = False
            self._system.replace(path, render_saved(saved))
            self._system.remove(f"{self.path}/{MARKER}")
        return saved

    def whole(self, saved: Saved | None) -> bool:
        """False when a transfer into it was interrupted, or nothing was ever transferred: there is no position."""
        return saved is None or saved.uuid != NIL

    def word(self, saved: Saved | None, recovered: tuple[str, int]) -> Word:
        """What to tell of it, given grastate.dat and the position that the database itself has.

        OcfError(INSTALLED) when the two are of different clusters.
        """
        uuid, seqno = recovered
        view, restorable = self.view()
        if saved is not None and saved.uuid != NIL and uuid == NIL:
            uuid, seqno = saved.uuid, saved.seqno
        if uuid == NIL or not self.whole(saved):
            schemas = set(self._system.folders(self.path)) - SYSTEM_SCHEMAS
            schemas = {name for name in schemas if not name.startswith((".", "#"))}
            kinds = (TORN, BLANK) if saved else (ALONE, EMPTY)
            return Word(ELECT, kind=kinds[0] if schemas else kinds[1])
        if saved is None:
            saved = Saved(uuid, -1, False)
            self._system.replace(f"{self.path}/grastate.dat", render_saved(saved))
        if saved.uuid != uuid:
            raise OcfError(
                INSTALLED,
                f"{self.path}/grastate.dat is of cluster {saved.uuid}, the database of {uuid}: one of them was copied "
                "here; move grastate.dat away to trust the database",
            )
        return Word(ELECT, kind=STATE, uuid=uuid, seqno=max(seqno, saved.seqno), safe=saved.safe, view=view,
                    restorable=restorable)  # fmt: skip

    def view(self) -> tuple[View | None, bool]:
        """The last primary view, and whether Galera can go back to it."""
        view = parse_view(self._system.read(f"{self.path}/gvwstate.dat") or "")
        if view:
            return view, True
        return parse_view(self._system.read(f"{self.path}/{ASIDE}") or ""), False

    def keep_view(self) -> None:
        """Copy the last view, for Galera removes its own when it gives up."""
        text = self._system.read(f"{self.path}/gvwstate.dat")
        if text is not None and parse_view(text):
            self._system.replace(f"{self.path}/{ASIDE}", text)

    def set_view_aside(self) -> None:
        """Galera shall not go back to the last view; what it says is kept."""
        self.keep_view()
        self._system.remove(f"{self.path}/gvwstate.dat")

    def restore_view(self, text: str) -> None:
        """Put back the view that a member without quorum had: stopping it removed it. On a full disk it stays lost,
        and its members elect instead: a stop that failed for it would have the node fenced.
        """
        if parse_view(text) and self._system.read(f"{self.path}/gvwstate.dat") is None:
            try:
                self._system.replace(f"{self.path}/gvwstate.dat", text)
            except OSError:
                return

    def view_text(self) -> str:
        return self._system.read(f"{self.path}/gvwstate.dat") or ""

    def elect(self, word: Word) -> None:
        """Let Galera bootstrap from here; the marker goes first, so that no crash makes this look like its own word.
        Where it is its own word already, it stays so: nobody is ahead, whatever becomes of this start.
        """
        self.set_view_aside()
        if word.kind != STATE:
            self._system.remove(f"{self.path}/grastate.dat")
            return
        if not word.safe:
            self._system.replace(f"{self.path}/{MARKER}", "safe_to_bootstrap was set by an election\n")
        self._system.replace(f"{self.path}/grastate.dat", render_saved(Saved(word.uuid, -1, True)))

    def settle(self) -> None:
        """The member is in a primary component: grastate.dat and gvwstate.dat are Galera's own again."""
        for name in (MARKER, ASIDE):
            self._system.remove(f"{self.path}/{name}")
