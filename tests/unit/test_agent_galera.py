"""The galera and garbd agents on a made-up host: what they take files, logs and connections for. The rest is real, in
tests/agents.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_host import FakeHost

from resource_agents.galera import Galera
from resource_agents.garbd import connected
from resource_agents.ocf import runtime
from resource_agents.ocf.agent import CONFIGURED, DEGRADED, GENERIC, INSTALLED, NOT_RUNNING, OK, OcfError
from resource_agents.ocf.attribute import Attribute
from resource_agents.wsrep import spare
from resource_agents.wsrep.datadir import Datadir
from resource_agents.wsrep.member import Member, failure, parse_client
from resource_agents.wsrep.state import NIL, Saved, parse_saved, render_saved
from resource_agents.wsrep.status import DONOR, SYNCED, Status
from resource_agents.wsrep.word import ALONE, BLANK, EMPTY, STATE, TORN, Word, encode

U1, U2 = "3655aefa-e65e-11f1-9d62-83c42b644701", "2c0cdedd-e65e-11f1-9d62-83c42b644701"
ME = "36557053-e65e-11f1-8708-83b80f3f4594"
VIEW = f"my_uuid: {ME}\n#vwbeg\nview_id: 3 {ME} 7\nbootstrap: 0\nmember: {ME} 0\n#vwend\n"
DATA = "/var/lib/mysql"
SEEN = 'name="vimha-galera" host="{}" value="{}"\n'


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    host = FakeHost(tmp_path)
    (tmp_path / "var/lib/mysql").mkdir(parents=True)
    return host


@pytest.fixture(autouse=True)
def left(monkeypatch: pytest.MonkeyPatch, host: FakeHost) -> list[Callable[[], None]]:
    """What an action left behind, to be run in this process."""
    works: list[Callable[[], None]] = []

    def leave(work: Callable[[], None]) -> int:
        host.put_process(os.getpid(), ["galera"])
        works.append(work)
        return os.getpid()

    monkeypatch.setattr(spare, "leave", leave)
    return works


@pytest.fixture
def datadir(host: FakeHost) -> Datadir:
    return Datadir(host, DATA, "")


def act(host: FakeHost, action: str, interval: str = "1000", **parameters: str) -> tuple[int, str]:
    env = {f"OCF_RESKEY_{name}": value for name, value in {"members": "c1=10.0.0.1 c2=10.0.0.2", **parameters}.items()}
    env |= {"OCF_RESKEY_CRM_meta_interval": interval, "OCF_RESKEY_CRM_meta_on_node": "c1", "HA_LOGFACILITY": "none"}
    return runtime.invoke(Galera, action, env, host)


def save(host: FakeHost, uuid: str = U1, seqno: int = -1, safe: bool = False) -> None:
    host.put(f"{DATA}/grastate.dat", render_saved(Saved(uuid, seqno, safe)))


@pytest.mark.parametrize(
    ("grastate", "recovered", "schema", "kind"),
    [(U1, (U1, 7), True, STATE), (U1, (NIL, -1), True, STATE), ("", (U1, 7), True, STATE), ("", (NIL, -1), True, ALONE),
     ("", (NIL, -1), False, EMPTY), (NIL, (NIL, -1), False, BLANK), (NIL, (U1, 7), True, TORN)],
)  # fmt: skip
def test_what_a_datadir_holds(
    host: FakeHost, grastate: str, recovered: tuple[str, int], schema: bool, kind: str
) -> None:
    datadir = Datadir(host, DATA, "")
    host.put(f"{DATA}/mysql/user.frm", "")
    if schema:
        host.put(f"{DATA}/app/t.ibd", "")
    if grastate:
        save(host, grastate)
    word = datadir.word(datadir.saved(), recovered)
    assert (word.kind, word.uuid == U1) == (kind, kind == STATE)


def test_a_lost_grastate_is_made_again_so_that_no_full_copy_is_needed(host: FakeHost, datadir: Datadir) -> None:
    datadir.word(None, (U1, 7))
    saved = parse_saved(host.read(f"{DATA}/grastate.dat") or "")
    assert (saved.uuid, saved.seqno, saved.safe) == (U1, -1, False)


def test_two_clusters_in_one_datadir_are_refused(host: FakeHost, datadir: Datadir) -> None:
    save(host, U2)
    with pytest.raises(OcfError, match="one of them was copied here") as caught:
        datadir.word(datadir.saved(), (U1, 7))
    assert caught.value.code == INSTALLED


def test_galeras_own_safe_to_bootstrap_outlives_an_election_that_came_to_nothing(
    host: FakeHost, datadir: Datadir
) -> None:
    save(host, U1, 7, safe=True)
    datadir.elect(Word("claim", kind=STATE, uuid=U1, seqno=7, safe=True))
    saved = Datadir(host, DATA, "").saved()
    assert saved and saved.safe


def test_our_own_safe_to_bootstrap_does_not_outlive_the_election(host: FakeHost, datadir: Datadir) -> None:
    save(host)
    host.put(f"{DATA}/gvwstate.dat", VIEW)
    datadir.elect(Word("claim", kind=STATE, uuid=U1, seqno=7))
    assert "safe_to_bootstrap: 1" in (host.read(f"{DATA}/grastate.dat") or "")
    again = datadir.saved()
    assert again is not None
    assert not again.safe
    assert "safe_to_bootstrap: 0" in (host.read(f"{DATA}/grastate.dat") or "")
    view, restorable = datadir.view()
    assert view is not None
    assert (view.me, restorable) == (ME, False)
    datadir.elect(Word("claim", kind=STATE, uuid=U1, seqno=7))
    save(host, safe=True)
    datadir.settle()
    settled = datadir.saved()
    assert settled is not None
    assert settled.safe, "Galera wrote it itself since"


def test_a_view_is_put_back_only_where_none_is(host: FakeHost, datadir: Datadir) -> None:
    datadir.restore_view("garbage")
    assert host.names(DATA) == []
    datadir.restore_view(VIEW)
    assert datadir.view()[1]
    datadir.restore_view(VIEW.replace("7\n", "8\n"))
    view, _ = datadir.view()
    assert view is not None
    assert view.number == 7


def test_a_view_that_a_full_disk_does_not_take_fails_no_stop(
    host: FakeHost, datadir: Datadir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop that fails has its node fenced."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    datadir.restore_view(VIEW)
    assert host.names(DATA) == []


def test_a_start_needs_room(host: FakeHost, datadir: Datadir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "free", lambda _: 63 << 20)
    with pytest.raises(OcfError, match=f"disk full: 63 MiB free under {DATA}, 64 MiB needed: make room") as caught:
        datadir.check()
    assert caught.value.code == INSTALLED


def test_only_what_holds_nothing_is_empty(host: FakeHost, datadir: Datadir) -> None:
    assert datadir.empty()
    host.put(f"{DATA}/lost+found/x", "")
    assert datadir.empty()
    datadir.begin_install()
    host.put(f"{DATA}/ibdata1", "")
    assert datadir.empty(), "an initialisation that did not end is done again"
    datadir.end_install()
    assert not datadir.empty()


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [("[ERROR] mariadbd: unknown variable 'x=1'", INSTALLED, "wrong configuration: mariadbd: unknown variable 'x=1'"),
     ("[ERROR] Bind on TCP/IP port. Got error: 98: Address already in use", INSTALLED, "port in use"),
     ("[ERROR] InnoDB: Error number 28 means 'No space left on device'", INSTALLED, "disk full"),
     ("[ERROR] WSREP: failed to open gcomm backend connection: 110", GENERIC, "it ended: WSREP: failed to open"),
     ("Segmentation fault", GENERIC, "it ended: Segmentation fault"), ("", GENERIC, "it ended: it gave no reason")],
)  # fmt: skip
def test_why_mariadbd_ended(line: str, code: int, reason: str) -> None:
    error = failure(f"2026-11-22 [Note] fine\n2026-11-22 {line}\n[ERROR] Aborting\n" if line else "", "it ended")
    if "Segmentation" in line:
        error = failure(f"{line}\n", "it ended")
    assert (error.code, error.reason.startswith(reason)) == (code, True), error.reason


def test_credentials_are_read_from_their_section() -> None:
    text = "[mysqld]\nuser=mysql\n[client]\n# comment\nuser = watcher\npassword = 'a=b #c'\n"
    assert parse_client(text) == {"user": "watcher", "password": "a=b #c"}


@pytest.mark.parametrize("wrong", [{"members": "c1"}, {"members": "=x"}, {"socket": "s"}, {"patience": "-1"}])
def test_parameters_that_are_wrong_everywhere(host: FakeHost, wrong: dict[str, str]) -> None:
    assert act(host, "start", **wrong)[0] == CONFIGURED
    assert act(host, "stop", **wrong)[0] == OK
    assert act(host, "monitor", "0", **wrong)[0] == NOT_RUNNING


def test_a_monitor_goes_on_with_an_election_and_a_probe_does_not(host: FakeHost) -> None:
    word = Word("elect", kind=STATE, uuid=U1, seqno=7)
    Attribute(host, "vimha-galera").publish(encode(word), 1)
    host.answers["attrd_updater"] = (0, SEEN.format("c1", encode(word)))
    code, reason = act(host, "monitor")
    assert code == DEGRADED
    assert reason == ("waits for c2, which may be ahead of c1 (at 7); if that never comes: vimha decide galera c1")
    assert act(host, "monitor", "0") == (NOT_RUNNING, "")


def test_nobody_decides_before_the_attribute_daemon_shows_its_own_word(host: FakeHost) -> None:
    word = Word("elect", kind=STATE, uuid=U1, seqno=7, safe=True)
    Attribute(host, "vimha-galera").publish(encode(word), 1)
    for answer in ((0, ""), (102, "not connected"), (0, SEEN.format("c1", encode(word.said("join"))))):
        host.answers["attrd_updater"] = answer
        code, reason = act(host, "monitor")
        assert (code, "own state" in reason) == (DEGRADED, True)
    assert not any("mariadbd" in kind for kind in host.kinds())


def test_a_member_that_was_synced_and_is_gone_is_not_running(host: FakeHost) -> None:
    Attribute(host, "vimha-galera").publish(encode(Word("primary", kind=STATE, uuid=U1)), 1)
    assert act(host, "monitor") == (NOT_RUNNING, "no such process")


@pytest.fixture
def member(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Callable[[Status], None]:
    """Have this node's member, which was synced, say that of itself."""
    said: list[Status] = []
    host.put("/run/vimha/galera.pid", "700\n5000\n")
    host.put_process(700, ["/usr/sbin/mariadbd"])
    Attribute(host, "vimha-galera").publish(encode(Word("primary", kind=STATE, uuid=U1)), 1)
    monkeypatch.setattr(Member, "status", lambda *_: said[-1])
    return said.append


def status(state: int, *, ready: bool = True, primary: bool = True) -> Status:
    return Status(ready=ready, cluster_status="Primary" if primary else "non-Primary", local_state=state,
                  state_comment="", cluster_size=2, uuid=U1, last_committed=7)  # fmt: skip


def donor(host: FakeHost, *, other: str, ready: bool = False, shown: bool = True) -> int:
    """What comes of a donor in 6 s, while c2 says `other`; its own word is `shown`."""
    words = {"c1": Attribute(host, "vimha-galera").published() if shown else "", "c2": other and f"{other},kind=state"}
    host.answers["attrd_updater"] = (0, "".join(SEEN.format(*pair) for pair in words.items()))
    assert act(host, "monitor")[0] == DEGRADED
    host.sleep(6)
    code, reason = act(host, "monitor")
    assert ("broke off" in reason) == (code == GENERIC), reason
    return code


@pytest.mark.parametrize("other", ["primary", "spare", "elect", ""])
def test_a_donor_whose_transfer_broke_is_failed(host: FakeHost, member: Callable[[Status], None], other: str) -> None:
    member(status(DONOR, ready=False))
    assert donor(host, other=other) == GENERIC


@pytest.mark.parametrize("other", ["join", "claim"])
def test_a_donor_is_none_that_broke_while_somebody_joins(
    host: FakeHost, member: Callable[[Status], None], other: str
) -> None:
    member(status(DONOR, ready=False))
    assert donor(host, other=other) == DEGRADED


def test_a_donor_that_serves_or_cannot_hear_the_others_is_let_be(
    host: FakeHost, member: Callable[[Status], None]
) -> None:
    member(status(DONOR, ready=False))
    assert donor(host, other="primary", shown=False) == DEGRADED
    member(status(DONOR))
    assert donor(host, other="primary") == DEGRADED


@pytest.mark.parametrize(
    ("last", "kept"),
    [(status(SYNCED), False), (status(0, primary=False, ready=False), True), (status(DONOR, ready=False), True)],
    ids=["serves", "without quorum", "a donor for ever"],
)
def test_who_does_not_serve_may_go_back_to_its_view(
    host: FakeHost, member: Callable[[Status], None], last: Status, kept: bool
) -> None:
    """A clean stop of Galera's removes it; without, the last one with an arbiter would wait for a lost peer."""

    def end(pid: int, _: int) -> None:
        host.end_process(pid)
        host.remove(f"{DATA}/gvwstate.dat")

    host.put(f"{DATA}/gvwstate.dat", VIEW)
    host.on_signal = end
    member(last)
    assert act(host, "stop") == (OK, "")
    assert (host.read(f"{DATA}/gvwstate.dat") == VIEW) == kept


def test_an_outage_is_as_long_as_itself(host: FakeHost, member: Callable[[Status], None]) -> None:
    """And not as the time since an earlier one, which ended in a transfer."""
    for said, code in ((status(0, primary=False), DEGRADED), (status(DONOR), DEGRADED),
                       (status(0, primary=False), DEGRADED)):  # fmt: skip
        member(said)
        assert act(host, "monitor")[0] == code
        host.sleep(1.5)
    host.sleep(1)
    assert act(host, "monitor")[0] == GENERIC


def test_who_is_behind_a_spare_calls_it_from_its_monitor(host: FakeHost) -> None:
    word, ahead = (Word(phase, kind=STATE, uuid=U1, seqno=seqno) for phase, seqno in (("elect", 7), ("spare", 8)))
    Attribute(host, "vimha-galera").publish(encode(word), 1)
    host.answers["attrd_updater"] = (0, SEEN.format("c1", encode(word)) + SEEN.format("c2", encode(ahead)))
    for instances in ("2", "1"):
        code, reason = act(host, "monitor", CRM_meta_clone_max=instances)
        assert (code, reason.startswith(f"c2 has the latest data, {U1}:8")) == (DEGRADED, True)
        calls = [kind for kind in host.kinds() if "called" in kind]
        expected = ["attrd_updater --name vimha-galera-called --update 1 --node c2"]
        assert calls == (expected if instances == "1" else []), "without spares no member could move"


def spoken(host: FakeHost) -> list[str]:
    """The words that were published, oldest first."""
    return [argv[argv.index("--update") + 1] for argv in host.commands if "--update" in argv]


@pytest.mark.parametrize(
    ("seqno", "recovered", "word"),
    [(7, "", f"spare,kind=state,position={U1}:7"), (-1, f"{U1}:9", f"spare,kind=state,position={U1}:9"),
     (None, "", f"spare,kind=empty,position={NIL}:-1")],
    ids=["a clean stop", "a crash", "nothing yet"],
)  # fmt: skip
def test_a_node_without_a_member_tells_its_data(
    host: FakeHost, left: list[Callable[[], None]], seqno: int | None, recovered: str, word: str
) -> None:
    Path(f"{host.root}{DATA}").chmod(0o700)
    if seqno is not None:
        host.put(f"{DATA}/mysql/user.frm", "")
        save(host, U1, seqno)
    host.answers["mariadbd"] = (0, f"Recovered position: {recovered}\n")
    host.answers["attrd_updater"] = (0, SEEN.format("c1", word))
    assert act(host, "monitor", "0", user="") == (NOT_RUNNING, "")
    assert spoken(host) == [], "the probe itself does not wait for it"
    left.pop()()
    assert spoken(host) == [word]
    assert any("--wsrep-recover" in kind for kind in host.kinds()) == bool(recovered)
    assert act(host, "monitor", user="") == (NOT_RUNNING, "no such process")


def test_what_cannot_be_recovered_is_not_told(host: FakeHost, left: list[Callable[[], None]]) -> None:
    host.put(f"{DATA}/mysql/user.frm", "")
    save(host, U1, -1)
    host.answers["mariadbd"] = (1, "[ERROR] InnoDB: corrupted")
    act(host, "monitor", "0", user="")
    left.pop()()
    assert spoken(host) == []


@pytest.mark.parametrize("action", ["start", "stop", "monitor"])
def test_every_action_that_may_start_a_member_first_ends_who_tells(host: FakeHost, action: str) -> None:
    """With all that it runs: one that opens the database, and one that publishes a word."""
    host.put("/run/vimha/galera.spare.pid", "700\n5000\n")
    for pid in (700, 701, 702):
        host.put_process(pid, ["python3", "galera"] if pid == 700 else ["mariadbd", "--wsrep-recover"], session=700)
    host.on_signal = lambda pid, number: host.end_process(pid)
    act(host, action, members="c1=10.0.0.1")
    assert sorted(pid for pid, _ in host.signals) == [700, 701, 702]
    assert host.read("/run/vimha/galera.spare.pid") is None


def test_who_was_not_recorded_says_nothing(host: FakeHost, left: list[Callable[[], None]]) -> None:
    """It could not be ended."""
    save(host, U1, 7)
    act(host, "monitor", "0", user="")
    host.put("/run/vimha/galera.spare.pid", "1\n1\n")
    left.pop()()
    assert spoken(host) == []


def test_attributes_of_all_nodes_are_read(host: FakeHost) -> None:
    text = SEEN.format("c1", "elect,kind=state") + SEEN.format("c2", "") + "garbage\n" + SEEN.format("c3", "join")
    host.answers["attrd_updater"] = (0, text)
    assert Attribute(host, "vimha-galera").seen(1) == {"c1": "elect,kind=state", "c3": "join"}
    host.answers["attrd_updater"] = (105, "attrd_updater: no such attribute\n")
    assert Attribute(host, "vimha-galera").seen(1) == {}
    host.answers["attrd_updater"] = (102, "not connected\n")
    with pytest.raises(OSError, match="not connected"):
        Attribute(host, "vimha-galera").seen(1)


def test_a_private_attribute_stays_out_of_the_cib(host: FakeHost) -> None:
    Attribute(host, "vimha-galera", private=True).publish("x", 1)
    assert host.kinds() == ["attrd_updater --name vimha-galera --update x --private"]


def test_an_arbiters_connections() -> None:
    head = "  sl  local_address rem_address   st tx_queue\n"
    row = "   0: 0B094D0A:{} 0C094D0A:{} {} 00000000:00000000\n"
    assert connected(head + row.format("11D7", "C001", "01"))
    assert connected(head + row.format("C001", "11D7", "01"))
    assert not connected(head + row.format("11D7", "0000", "0A"))
    assert not connected(head + row.format("1F90", "C001", "01"))
    assert not connected("")
