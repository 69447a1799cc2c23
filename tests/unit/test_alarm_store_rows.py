"""What is written into rows and bodies comes back the same, whatever it is."""

import json

from hypothesis import given
from hypothesis import strategies as st

from vimha.alarms import sol
from vimha.alarms.catalogue import definitions
from vimha.alarms.machine import Entry
from vimha.alarms.model import Alarm, Event, Location
from vimha.alarms.store.rows import alarm_of, dumps, entry_of, entry_row
from vimha.alarms.times import LATEST
from vimha.alarms.words import AckState, Severity

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
TIME = st.integers(0, LATEST)
MAYBE_TIME = st.none() | TIME
DEFINITION = st.sampled_from(list(definitions().values()))
LOCATION = st.builds(Location, TEXT, TEXT, TEXT, TEXT, TEXT)
ALARM = st.builds(
    Alarm, id=TEXT, definition=DEFINITION, managed_object=TEXT, severity=st.sampled_from(Severity), event_us=TIME,
    raised_us=TIME, specific_problem=TEXT, location=LOCATION, details=TEXTS, detector=TEXT, correlated=TEXTS,
    root_cause=st.booleans(), changed_us=MAYBE_TIME, cleared_us=MAYBE_TIME, acknowledged_us=MAYBE_TIME,
    ack=st.sampled_from(AckState), acknowledged_by=TEXT, events=st.integers(1, 10**9), flapping=st.booleans(),
    cleared_from=st.none() | st.sampled_from(Severity),
)  # fmt: skip
EVENT = st.builds(
    Event, id=TEXT, definition=DEFINITION, managed_object=TEXT, severity=st.sampled_from(Severity), event_us=TIME,
    specific_problem=TEXT, location=LOCATION, details=TEXTS, detector=TEXT, correlated=TEXTS, root_cause=st.booleans(),
)  # fmt: skip
ENTRY = st.builds(
    Entry, alarm=st.none() | ALARM, latest=st.none() | EVENT, due_us=MAYBE_TIME, seen_us=TIME,
    changes=st.lists(TIME, max_size=5).map(tuple),
)  # fmt: skip


@given(ALARM)
def test_a_body_is_its_alarm(alarm: Alarm) -> None:
    text = dumps(sol.body(alarm))
    assert alarm_of(text) == alarm
    assert dumps(json.loads(text)) == text


@given(ENTRY)
def test_a_row_is_its_entry(entry: Entry) -> None:
    row = entry_row("k", entry)
    assert entry_of(row, dumps(sol.body(entry.alarm)) if entry.alarm else None) == entry
    assert row["alarm_id"] == (entry.alarm.id if entry.alarm else None)
