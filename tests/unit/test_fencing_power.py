"""Off is believed only when verified; every wait ends by its deadline. A fake device and a clock that does not wait."""

from collections.abc import Callable

import pytest

from fence_agents.fencing import power
from fence_agents.fencing.deadline import Clock
from fence_agents.fencing.errors import FenceError, NoAnswerError


class FakeClock(Clock):
    """Sleeping only moves the hands."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class FakeDevice(power.Device):
    """A BMC in front of a node; `reads` overrides what it reports, look by look (the last one stays)."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.on = True
        self.off_takes = 0.0
        self.off_at: float | None = None
        self.reads: list[bool | Exception] = []
        self.refusals: list[str | Exception] = []
        self.alive: Callable[[], str] = lambda: ""
        self.wishes: list[bool] = []

    def is_on(self, timeout_s: float) -> bool:
        assert timeout_s > 0
        if self.reads:
            read = self.reads.pop(0) if len(self.reads) > 1 else self.reads[0]
            if isinstance(read, Exception):
                self.clock.time += timeout_s
                raise read
            return read
        return self.on if self.off_at is None else self.clock.time < self.off_at

    def request(self, on: bool, timeout_s: float) -> str:
        self.wishes.append(on)
        answer: str | Exception = self.refusals.pop(0) if self.refusals else ""
        if isinstance(answer, Exception):
            raise answer
        if not answer and not on:
            self.off_at = self.clock.time + self.off_takes
        elif not answer:
            self.on, self.off_at = True, None
        return answer

    def witness(self, timeout_s: float) -> str:
        self.clock.time += timeout_s
        return self.alive()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def device(clock: FakeClock) -> FakeDevice:
    return FakeDevice(clock)


@pytest.fixture
def timing(clock: FakeClock) -> power.Timing:
    return power.Timing(clock, verify=10, answer=2)


def test_an_instant_off_is_verified_within_the_confirmation(device: FakeDevice, timing: power.Timing) -> None:
    power.turn_off(device, timing)
    assert device.clock.time - 1000 == pytest.approx(power.CONFIRM_S)
    assert device.wishes == [False]


def test_a_slow_off_is_seen_one_poll_after_it(device: FakeDevice, timing: power.Timing) -> None:
    device.off_takes = 1.0
    power.turn_off(device, timing)
    assert 1.0 <= device.clock.time - 1000 <= 1.0 + power.POLL_S + power.CONFIRM_S + 0.001


def test_a_node_that_stays_on_fails_at_the_deadline(device: FakeDevice, timing: power.Timing) -> None:
    device.off_takes = 60
    with pytest.raises(FenceError, match="not verified off within 10 s: the BMC reports power on"):
        power.turn_off(device, timing)
    assert device.clock.time - 1000 <= 10


def test_one_stale_reading_of_off_is_not_believed(device: FakeDevice, timing: power.Timing) -> None:
    device.reads = [False, True, False, False]
    power.turn_off(device, timing)
    assert device.reads == [False]
    device.reads = [False, True] * 500
    with pytest.raises(FenceError, match="reported power off, then on"):
        power.turn_off(device, timing)


def test_a_bmc_that_says_off_while_the_node_answers_is_caught(device: FakeDevice, timing: power.Timing) -> None:
    device.alive = lambda: "192.0.2.1"
    with pytest.raises(FenceError, match=r"reports power off, but 192\.0\.2\.1 still answers"):
        power.turn_off(device, timing)


def test_a_node_that_falls_silent_a_little_later_is_off(device: FakeDevice, timing: power.Timing) -> None:
    device.alive = lambda: "192.0.2.1" if device.clock.time < 1001 else ""
    power.turn_off(device, timing)
    assert 1.0 <= device.clock.time - 1000 < 1.2


def test_off_of_a_node_that_is_off_is_asked_for_all_the_same(device: FakeDevice, timing: power.Timing) -> None:
    device.reads = [False]
    device.refusals = ["HTTP 409: already off"]
    power.turn_off(device, timing)
    assert device.wishes == [False]


def test_a_refused_off_is_asked_again_and_named_at_the_end(device: FakeDevice, timing: power.Timing) -> None:
    device.refusals = ["HTTP 409: busy"]
    power.turn_off(device, timing)
    assert device.wishes == [False, False]
    device.on, device.off_at, device.refusals = True, None, ["HTTP 400: no ForceOff"] * 100
    with pytest.raises(FenceError, match="reports power on; the request was refused: HTTP 400: no ForceOff"):
        power.turn_off(device, timing)


def test_an_unanswered_request_is_repeated_even_when_power_reads_off(device: FakeDevice, timing: power.Timing) -> None:
    device.refusals = [NoAnswerError("HTTP 500")] * 3
    device.reads = [False]
    power.turn_off(device, timing)
    assert device.wishes == [False] * 4


def test_a_device_that_never_answers_fails_after_its_silence(device: FakeDevice, timing: power.Timing) -> None:
    device.reads = [NoAnswerError("no answer")]
    with pytest.raises(FenceError, match="not verified off: no answer"):
        power.turn_off(device, timing)
    assert 2.0 <= device.clock.time - 1000 < 2.3


def test_silence_is_counted_from_the_last_answer(device: FakeDevice, timing: power.Timing) -> None:
    device.reads = [True, NoAnswerError("dropped"), True, NoAnswerError("dropped"), True, False, False]
    power.turn_off(device, timing)


def test_what_cannot_get_better_fails_at_once(device: FakeDevice, timing: power.Timing) -> None:
    device.refusals = [FenceError("password refused")]
    with pytest.raises(FenceError, match="password refused"):
        power.turn_off(device, timing)
    assert device.clock.time == 1000


def test_a_reboot_fails_only_for_its_off_half(device: FakeDevice, timing: power.Timing) -> None:
    assert power.reboot(device, timing) == ""
    assert device.wishes == [False, True]
    device.wishes, device.refusals = [], ["", *["HTTP 503"] * 100]
    began = device.clock.time
    assert power.reboot(device, timing) == "HTTP 503"
    assert device.clock.time - began <= power.ON_AGAIN_S + power.CONFIRM_S + 2 * power.POLL_S
    device.on, device.off_at, device.refusals, device.off_takes = True, None, [], 60
    with pytest.raises(FenceError, match="not verified off"):
        power.reboot(device, timing)


def test_on_is_read_back(device: FakeDevice, timing: power.Timing) -> None:
    device.reads = [False, False, True]
    power.turn_on(device, timing)
    device.reads = [False]
    with pytest.raises(FenceError, match="not verified on within 10 s: the BMC reports power off"):
        power.turn_on(device, timing)
