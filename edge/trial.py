"""A configuration on trial: what is kept about it, and what is to be done as things turn out.

In: what is kept (`Record`), the text of the file as it is, the moment. Out: actions, in order: keep
a record, put a text into the file. Pure; `edge/configuration_file.py` carries them out, each whole
or not at all. A crash or a power cut between any two of them is mended by `resume`:

    kept        the file has   after a restart
    no trial    anything       nothing to do
    trying      the old text   it was cut before the new one was put there: put it
    trying      the new text   the trial goes on; so many restarts end it, as they are its fault
    returning   either         the old text goes back, and that is the end
    either      another text   somebody at the site has changed it: theirs stands, `overtaken`

So the file is the old one or the new one at every moment, and the old one again, unless something
was confirmed, after `trial_s` of running time. The trial's clock is the machine's monotonic one. It
goes on through restarts of the agent; after a reboot it goes on from what was last kept, at most
`KEEP_S` earlier. Nothing here asks what day it is.
"""

from __future__ import annotations

import msgspec

from wire.remote import ConfigurationState, Desired

STARTS_MAX = 5
"""Starts of the agent within one trial; one more, and the new configuration is what ends it."""

KEEP_S = 30.0
REASON_MAX = 300


class Moment(msgspec.Struct, frozen=True):
    """Which boot, and how many seconds of it (CLOCK_MONOTONIC)."""

    boot_id: str
    monotonic_s: float


class Trial(msgspec.Struct, frozen=True, omit_defaults=True):
    """Two texts, and how long the new one has been tried: `spent_s` of `trial_s`, until `since`."""

    old: str
    new: str
    since: Moment
    trial_s: float
    spent_s: float = 0.0
    starts: int = 0
    returning: bool = False


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a gateway knows of configurations from afar. `version` is the newest it looked at."""

    version: int = 0
    state: ConfigurationState = ConfigurationState.LOCAL
    reason: str = ""
    by: str = ""
    trial: Trial | None = None


class Keep(msgspec.Struct, frozen=True):
    """This record, on disk."""

    record: Record


class Put(msgspec.Struct, frozen=True):
    """This text, in the file."""

    text: str


Actions = tuple[Keep | Put, ...]


def begin(desired: Desired, old: str, now: Moment, trial_s: float) -> Actions:
    """Try it."""
    trial = Trial(old=old, new=desired.text, since=now, trial_s=trial_s)
    state = ConfigurationState.TRYING
    return Keep(Record(desired.version, state, by=desired.by, trial=trial)), Put(desired.text)


def refuse(desired: Desired, reason: str) -> Actions:
    """Nothing changes but what is known."""
    state = ConfigurationState.REFUSED
    return (Keep(Record(desired.version, state, reason[:REASON_MAX], desired.by)),)


def take_as_it_is(desired: Desired) -> Actions:
    """It is the text that is there already."""
    return (Keep(Record(desired.version, ConfigurationState.APPLIED, by=desired.by)),)


def resume(record: Record, text: str, now: Moment) -> Actions:
    """What a start of the agent finds to do; `text` is the file's."""
    trial = record.trial
    if trial is None:
        return ()
    if text not in (trial.old, trial.new):
        return overtaken(record)
    if trial.returning:
        return (*_put(trial.old, text), Keep(_ended(record, ConfigurationState.ROLLED_BACK)))
    trial = msgspec.structs.replace(_counted(trial, now), starts=trial.starts + 1)
    record = msgspec.structs.replace(record, trial=trial)
    if trial.starts > STARTS_MAX:
        return give_up(record, f"the agent had to start {trial.starts} times with it")
    if trial.spent_s >= trial.trial_s:
        return give_up(record, not_confirmed(trial.trial_s))
    return (*_put(trial.new, text), Keep(record))


def go_on(record: Record, text: str, now: Moment) -> Actions:
    """Time has passed in a trial, and the file has this text: nothing, a record to keep, or its
    end. An end that couldn't be written is written again."""
    trial = record.trial
    if trial is None:
        return ()
    if trial.returning or text not in (trial.old, trial.new):
        return resume(record, text, now)
    counted = _counted(trial, now)
    if counted.spent_s >= trial.trial_s:
        return give_up(record, not_confirmed(trial.trial_s))
    if counted.spent_s - trial.spent_s < KEEP_S:
        return ()
    return (Keep(msgspec.structs.replace(record, trial=counted)),)


def give_up(record: Record, reason: str) -> Actions:
    """The old text again. That this was decided is kept first: it isn't tried a second time."""
    assert record.trial, "only a trial can be given up"
    returning = msgspec.structs.replace(record.trial, returning=True)
    record = msgspec.structs.replace(record, trial=returning, reason=reason[:REASON_MAX])
    done = Keep(_ended(record, ConfigurationState.ROLLED_BACK))
    return Keep(record), Put(returning.old), done


def confirm(record: Record) -> Actions:
    """A batch that was sealed under it is in the database."""
    return (Keep(_ended(record, ConfigurationState.APPLIED)),)


def overtaken(record: Record) -> Actions:
    """Somebody at the site has changed the file."""
    reason = "the file was changed at the site during the trial"
    record = msgspec.structs.replace(record, reason=reason)
    return (Keep(_ended(record, ConfigurationState.OVERTAKEN)),)


def not_confirmed(trial_s: float) -> str:
    return f"no batch sealed with it was confirmed in {trial_s:g} s"


def _put(wanted: str, text: str) -> tuple[Put, ...]:
    return () if wanted == text else (Put(wanted),)


def _counted(trial: Trial, now: Moment) -> Trial:
    passed_s = 0.0
    if now.boot_id == trial.since.boot_id:
        passed_s = max(0.0, now.monotonic_s - trial.since.monotonic_s)
    return msgspec.structs.replace(trial, since=now, spent_s=trial.spent_s + passed_s)


def _ended(record: Record, state: ConfigurationState) -> Record:
    return msgspec.structs.replace(record, state=state, trial=None)
