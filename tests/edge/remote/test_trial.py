"""A configuration from afar, through crashes: the file is always one whole text, and in the end the
right one. Histories are random; each write may be the one before or after which the power goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.configuration_file import ConfigurationFile
from edge.site_log import read_log
from edge.trial import STARTS_MAX
from edge.whole_file import write_whole
from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.remote import Desired, text_digest

TRIAL_S = 100.0
TEXT = """
[gateway]
name = "gateway-1"
site = "pasar"
label = "{label}"

[outbox]
path = "{folder}/outbox.db"

[remote]
trial_s = 100
"""


class PowerCut(Exception):
    """The machine is off."""


class Machine:
    """A card with the file, a clock that a test turns, and a power switch at each write."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "gateway.toml"
        self.boot, self.now_s = 1, 1000.0
        self.cut_at: int | None = None  # 2n: before the nth write from now, 2n + 1: after it
        self.path.write_text(self.text("0"))
        self.file = self.start()

    def text(self, label: str) -> str:
        return TEXT.format(label=label, folder=self.folder)

    def start(self) -> ConfigurationFile:
        """The agent's process begins; whatever it finds, it gets up."""
        while True:
            clock = Turned(lambda: self.now_s)
            self.file = ConfigurationFile(self.path, clock, f"boot-{self.boot}", self._write)
            try:
                self.file.begin()
            except PowerCut:
                self.cut_at = None
                continue
            return self.file

    def do(self, work: Callable[[], object]) -> None:
        """Something that may be cut; then the machine starts again. `again` begins a new run."""
        try:
            asyncio.run(work())  # type: ignore[arg-type]
            if self.file.again.is_set():
                self.file.begin()
        except PowerCut:
            self.cut_at = None
            self.boot, self.now_s = self.boot + 1, 10.0
            self.start()

    def _write(self, path: Path, data: bytes) -> None:
        if self._is_cut():
            raise PowerCut
        part = path.with_name("part")
        part.write_bytes(data)
        part.replace(path)
        if self._is_cut():
            raise PowerCut

    def _is_cut(self) -> bool:
        if self.cut_at is None:
            return False
        self.cut_at -= 1
        return self.cut_at < 0

    @property
    def state(self) -> str:
        return self.file.applied.state.value


class Turned(SystemClock):
    """Wall seconds that a test turns."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s

    def monotonic(self) -> float:
        return self._now_s()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def desire(machine: Machine, version: int, label: str) -> None:
    machine.do(lambda: machine.file.desire(Desired(version, machine.text(label))))


def test_a_configuration_that_is_confirmed_stays(machine):
    desire(machine, 1, "new")
    assert machine.state == "trying"
    assert machine.path.read_text() == machine.text("new")
    machine.do(machine.file.confirmed)
    machine.now_s += 10 * TRIAL_S
    machine.start()
    assert machine.state == "applied"
    assert machine.path.read_text() == machine.text("new")
    assert machine.path.with_name("gateway.toml.before").read_text() == machine.text("0")


def test_a_configuration_with_which_nothing_is_confirmed_goes_back_and_is_not_tried_again(machine):
    desire(machine, 1, "new")
    machine.now_s += TRIAL_S - 1
    machine.do(machine.file.time_passed)
    assert machine.path.read_text() == machine.text("new")
    machine.now_s += 1
    machine.do(machine.file.time_passed)
    assert machine.path.read_text() == machine.text("0")
    assert machine.file.applied.reason == "no batch sealed with it was confirmed in 100 s"
    desire(machine, 1, "new")
    assert machine.state == "rolled_back"
    assert machine.path.read_text() == machine.text("0")


def test_the_trials_clock_goes_on_through_restarts_and_reboots(machine):
    desire(machine, 1, "new")
    machine.now_s += TRIAL_S / 2
    machine.start()  # the agent was restarted: the machine's clock went on meanwhile
    machine.now_s += 30
    machine.do(machine.file.time_passed)  # kept, as it is each half minute
    machine.boot, machine.now_s = 2, 5.0  # no clock chip: nobody knows how long it was off
    machine.start()
    machine.now_s += 19
    machine.do(machine.file.time_passed)
    assert machine.state == "trying"
    machine.now_s += 1
    machine.do(machine.file.time_passed)
    assert machine.state == "rolled_back"


def test_a_configuration_that_crashes_the_agent_again_and_again_goes_back(machine):
    desire(machine, 1, "new")
    for _ in range(STARTS_MAX):
        assert machine.state == "trying"
        machine.start()
    assert machine.path.read_text() == machine.text("0")
    assert "had to start" in machine.file.applied.reason


def test_what_is_changed_at_the_site_during_a_trial_stands(machine):
    desire(machine, 1, "new")
    machine.path.write_text(machine.text("by the technician"))
    machine.now_s += TRIAL_S
    machine.do(machine.file.time_passed)
    machine.start()
    assert machine.state == "overtaken"
    assert machine.path.read_text() == machine.text("by the technician")


def test_what_was_changed_at_the_site_and_not_taken_up_yet_is_not_overwritten(machine):
    machine.path.write_text(machine.text("by the technician"))
    desire(machine, 1, "new")
    assert machine.state == "refused"
    assert "changed at the site" in machine.file.applied.reason
    assert machine.path.read_text() == machine.text("by the technician")


def test_each_configuration_that_is_refused_stands_in_the_log_of_the_site(machine):
    for version in (1, 2):
        machine.do(lambda version=version: machine.file.desire(Desired(version, "not TOML")))
        assert machine.state == "refused"
    said = [one.text.partition(":")[0] for one in read_log(machine.folder)]
    assert said == ["version 1", "version 2"]


def test_a_change_from_the_gateways_own_page_is_not_on_trial(machine):
    desire(machine, 1, "new")
    before, after = machine.text("new"), machine.text("calibrated")
    machine.file.change_here(before, after, "page")
    with pytest.raises(ConfigurationError, match="meanwhile"):
        machine.file.change_here(before, after, "page")
    machine.now_s += 10 * TRIAL_S
    machine.start()
    assert machine.state == "overtaken"
    assert machine.path.read_text() == after
    assert machine.file.applied.digest == text_digest(after)


def test_a_file_that_is_spoilt_while_the_agent_runs_stops_nothing(machine):
    machine.path.write_text("[gateway")
    assert machine.file.begin().gateway.label == "0"


def test_a_trial_that_this_version_cannot_read_goes_back_at_the_start(machine):
    desire(machine, 1, "new")
    # As after a downgrade: the text in trial has a key that this version doesn't know.
    newer = machine.text("new").replace("[gateway]", "[gateway]\nshoe_size = 3")
    record = machine.path.with_name("gateway.toml.remote")
    record.write_bytes(record.read_bytes().replace(b'[gateway]\\nname = \\"gateway-1\\"\\nsite = '
        b'\\"pasar\\"\\nlabel = \\"new\\"', b'[gateway]\\nshoe_size = 3\\nname = \\"gateway-1\\"'
        b'\\nsite = \\"pasar\\"\\nlabel = \\"new\\"'))  # fmt: skip
    machine.path.write_text(newer)
    machine.start()
    assert machine.state == "rolled_back"
    assert "shoe_size" in machine.file.applied.reason
    assert machine.path.read_text() == machine.text("0")


def test_a_cut_before_the_new_text_was_there_only_delays_its_trial(machine):
    machine.cut_at = 4  # the text before is put aside, the trial kept; then the file
    desire(machine, 1, "new")
    assert machine.state == "trying"
    assert machine.path.read_text() == machine.text("new")


@pytest.mark.parametrize("cut_at", [1, 2, 3, 4, 5])
def test_what_was_given_up_is_not_tried_again_after_a_cut(machine, cut_at):
    desire(machine, 1, "new")
    machine.now_s += TRIAL_S
    machine.cut_at = cut_at  # from when it is kept that it goes back
    machine.do(machine.file.time_passed)
    assert machine.state == "rolled_back"
    assert machine.path.read_text() == machine.text("0")


def test_a_confirmation_does_not_count_for_a_text_that_was_written_meanwhile(machine):
    desire(machine, 1, "new")
    machine.path.write_text(machine.text("by the technician"))
    machine.do(machine.file.confirmed)
    assert machine.state == "overtaken"  # it has ended: else nothing but a restart would end it
    machine.start()
    assert machine.state == "overtaken"
    assert machine.path.read_text() == machine.text("by the technician")


def test_a_trial_ends_in_time_where_the_old_text_was_put_back_before_a_batch_was_confirmed(machine):
    desire(machine, 1, "new")
    machine.path.write_text(machine.text("0"))
    machine.now_s += TRIAL_S
    machine.do(machine.file.confirmed)
    assert machine.state == "rolled_back"
    assert machine.path.read_text() == machine.text("0")


def test_a_calibration_that_is_written_while_a_configuration_is_looked_at_stands(machine):
    calibrated = machine.text("calibrated")

    def write(path: Path, data: bytes) -> None:
        write_whole(path, data)
        if path.name.endswith(".before"):  # the last that is done before the new text is put there
            file.change_here(machine.text("0"), calibrated, "page")

    file = ConfigurationFile(machine.path, SystemClock(), "boot-1", write)
    file.begin()
    asyncio.run(file.desire(Desired(1, machine.text("new"), base=text_digest(machine.text("0")))))
    assert machine.path.read_text() == calibrated
    assert file.applied.state.value == "refused"
    assert "changed at the site" in file.applied.reason
    assert not file.is_trying


@pytest.mark.parametrize("cut_at", range(12))
@pytest.mark.parametrize("confirmed", [True, False])
def test_a_power_cut_at_any_write_leaves_the_old_one_or_the_new_one(tmp_path, cut_at, confirmed):
    machine = Machine(tmp_path)
    whole = {machine.text("0"), machine.text("new")}
    machine.cut_at = cut_at
    desire(machine, 1, "new")
    assert machine.path.read_text() in whole
    trying = machine.state == "trying"
    if confirmed:
        machine.do(machine.file.confirmed)
    assert machine.path.read_text() in whole
    for _ in range(4):
        machine.now_s += TRIAL_S
        machine.do(machine.file.time_passed)
        assert machine.path.read_text() in whole
    machine.cut_at = None
    machine.start()
    assert not machine.file.is_trying
    kept = confirmed and machine.state == "applied"
    assert machine.path.read_text() == machine.text("new" if kept else "0")
    assert trying or machine.state != "trying"


STEPS = st.one_of(
    st.tuples(st.just("desire"), st.integers(0, 3)),
    st.tuples(st.just("cut"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([1, 31, 60, 101])),
    st.tuples(st.sampled_from(["confirm", "restart", "reboot", "edit", "look"]), st.just(0)),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=14))
def test_whatever_happens_the_file_is_whole_and_an_unconfirmed_one_goes_away(
    tmp_path_factory, steps
):
    machine = Machine(tmp_path_factory.mktemp("m"))
    good = {machine.text("0")}  # by hand, or confirmed: what may stay
    known, version = set(good), 0
    for word, number in steps:
        match word:
            case "desire":
                version += 1
                known.add(machine.text(f"afar-{version}"))
                desire(machine, version, f"afar-{version}")
            case "cut":
                machine.cut_at = number
            case "wait":
                machine.now_s += number
                machine.do(machine.file.time_passed)
            case "confirm":
                if machine.file.is_trying and machine.path.read_text() == machine.file.text:
                    good.add(machine.file.text)
                machine.do(machine.file.confirmed)
            case "restart":
                machine.start()
            case "reboot":
                machine.boot, machine.now_s = machine.boot + 1, 5.0
                machine.start()
            case "edit":
                machine.path.write_text(machine.text("by hand"))
                good = {machine.text("by hand")}  # nothing older comes back over it
                known |= good
            case "look":
                machine.do(machine.file.time_passed)
        assert machine.path.read_text() in known
    machine.cut_at = None
    machine.now_s += TRIAL_S
    machine.start()
    machine.do(machine.file.time_passed)
    assert not machine.file.is_trying
    assert machine.path.read_text() in good
    assert machine.file.applied.digest == text_digest(machine.path.read_text())


def test_a_file_that_cannot_be_replaced_is_as_it_was(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text("old")
    (tmp_path / ".gateway.toml.part").mkdir()  # in the way
    with pytest.raises(OSError):
        write_whole(path, b"new")
    assert path.read_text() == "old"


def test_a_link_to_the_file_stays_one_and_the_mode_stays(tmp_path):
    kept = tmp_path / "var" / "gateway.toml"
    kept.parent.mkdir()
    kept.write_text(TEXT.format(label="0", folder=tmp_path))
    kept.chmod(0o640)
    link = tmp_path / "gateway.toml"
    link.symlink_to(kept)
    file = ConfigurationFile(link, SystemClock(), "boot")
    file.begin()
    file.change_here(file.text, file.text.replace('"0"', '"1"'), "page")
    assert link.is_symlink()
    assert '"1"' in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o640
