"""`gateway.toml` in force: read before each run of the agent, and replaced from afar, on trial.

In: the file; a desired configuration; the word that something was confirmed. Out: the checked
configuration, and a word (`again`) that the agent should begin anew with another one. The agent
begins anew within its process: links stop, what is open is sealed, the outbox is closed, and all of
it is made again from the file, by the same path as after a crash or a power cut. So there is no
second way to apply a configuration, no need of a service manager, and no gap of its restart.

    gateway.toml           what runs; replaced whole, synced, its folder too
    gateway.toml.before    the text before the last change from afar
    gateway.toml.remote    what is known of configurations from afar: `edge.trial.Record`

The rules of a trial are `edge/trial.py`'s. A record that is damaged (a card's page) counts as none:
the text in force stands, and an old version may be refused or tried once more. Where gateway.toml
is a link (the service keeps it where the agent may write), the others lie beside what it leads to.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge import trial
from edge.configuration import EdgeConfiguration
from edge.remote_check import checked, refusal_of
from edge.site_log import What, folder_of, note_here
from edge.trial import Actions, Keep, Moment, Record
from edge.whole_file import write_whole
from wire.clock import Clock
from wire.configuration import ConfigurationError
from wire.malformed import MALFORMED
from wire.remote import Applied, ConfigurationState, Desired, text_digest

_log = logging.getLogger(__name__)
_NOTED = {
    ConfigurationState.APPLIED: What.CONFIGURED,
    ConfigurationState.REFUSED: What.REFUSED,
    ConfigurationState.ROLLED_BACK: What.ROLLED_BACK,
    ConfigurationState.OVERTAKEN: What.REFUSED,
}
_CHANGED = "the file was changed at the site, and the agent not started since"
Write = Callable[[Path, bytes], None]


class ConfigurationFile:
    """The file, and what is known of configurations from afar.

    Args:
        path: `gateway.toml`.
        clock: the machine's.
        boot_id: this boot's.
        write: how files are replaced; a test cuts the power there.
    """

    def __init__(self, path: Path, clock: Clock, boot_id: str, write: Write = write_whole) -> None:
        self.path = path
        self._clock, self._boot_id, self._write = clock, boot_id, write
        self._record_path = self._file.with_name(f"{self._file.name}.remote")
        self._record = Record()
        self._configuration: EdgeConfiguration | None = None
        self._notes: list[tuple[What, str, str]] = []
        self._changing = asyncio.Lock()
        self._writing = threading.RLock()  # the page's thread, and the one beside the loop
        self.text = ""
        self.again = asyncio.Event()
        self.changed = asyncio.Event()  # something to report
        self.changed.set()

    @property
    def _file(self) -> Path:
        """Where a link leads to now: an editor may have put a plain file in its place."""
        return self.path.resolve()

    @property
    def is_trying(self) -> bool:
        """Whether a trial runs."""
        return self._record.trial is not None

    @property
    def applied(self) -> Applied:
        """What the cloud is told."""
        record = self._record
        return Applied(record.version, text_digest(self.text), record.state, record.reason)

    def begin(self) -> EdgeConfiguration:
        """The configuration to run with now: finishes what a crash cut, ends a trial whose time is
        up or whose text this version can't use.

        Raises:
            ConfigurationError: names file, key and remedy.
        """
        self.again.clear()
        self.changed.set()
        before = self.text
        try:
            self.text = self._read()
            self._record = self._read_record()
            self._resume()
            self._configuration = self._usable()
        except ConfigurationError as error:
            if self._configuration is None:
                raise
            # A file that was spoilt meanwhile stops no agent that runs: it goes on as it was.
            _log.error("event=configuration_unusable why=%r", str(error))
            self.text = before
        self._write_notes()
        return self._configuration

    def _resume(self) -> None:
        try:
            self._do(trial.resume(self._record, self.text, self._now()))
        except OSError as error:  # a full disk: what is there runs on, and counts on
            _log.error("event=trial_not_kept why=%r", str(error))

    def _usable(self) -> EdgeConfiguration:
        """What the file says; in a trial, at the worst, what it said before.

        Raises:
            ConfigurationError: not even that.
        """
        try:
            return checked(self.text, str(self.path))
        except ConfigurationError as error:
            if self._record.trial is None:
                raise
            with suppress(OSError):  # then it is found again at the next start
                self._do(trial.give_up(self._record, str(error)))
            return checked(self.text, str(self.path))

    async def desire(self, desired: Desired) -> None:
        """The cloud wants this one: refused, or tried (`again` is set). Each version once."""
        async with self._changing:
            configuration = self._configuration
            if configuration is None or desired.version <= self._record.version:
                return
            if self._record.trial is not None:
                return  # one trial at a time
            text, reason = self.text, _CHANGED
            if self._on_disk() == text:
                reason = await asyncio.to_thread(refusal_of, desired, text, configuration)
            actions = trial.refuse(desired, reason)
            if not reason and desired.text == text:
                actions = trial.take_as_it_is(desired)
            elif not reason:
                reason = await self._keep_before(text)
                actions = trial.refuse(desired, reason)
                if not reason:
                    trial_s = configuration.remote.trial_s
                    actions = trial.begin(desired, text, self._now(), trial_s)
            # All that took seconds; the page may have written meanwhile, and that stands.
            await self._done(actions, text, trial.refuse(desired, _CHANGED))
            if self._record.trial is not None:
                self.again.set()  # also when only the record could be written: `begin` goes on

    async def confirmed(self) -> None:
        """A batch that was sealed in this run is in the database."""
        async with self._changing:
            running, text = self._record.trial, self._on_disk()
            if running is not None and text == self.text == running.new:
                await self._done(trial.confirm(self._record), text)
            else:
                await self._go_on()  # else a trial of a text that isn't there would never end

    async def time_passed(self) -> None:
        """Look whether a trial's time is up; then the old text is there, and `again` is set."""
        async with self._changing:
            await self._go_on()

    async def _go_on(self) -> None:
        if self._record.trial is None:
            return
        text = self._on_disk()
        await self._done(trial.go_on(self._record, text, self._now()), text)
        if self._record.state is ConfigurationState.ROLLED_BACK:
            self.again.set()

    def change_here(self, before: str, after: str, who: str, text: str = "") -> None:
        """A technician's own change, not on trial: whoever stands there sees what it does. Ends a
        trial. The caller sets `again` when the agent is to take it up.

        Raises:
            ConfigurationError: the agent wouldn't accept it, or somebody changed it meanwhile.
            OSError: the file can't be written.
        """
        checked(after, str(self.path))
        with self._writing:
            if self._read() != before:
                problem, remedy = "somebody changed it meanwhile", "Run this again"
                raise ConfigurationError(str(self.path), "", problem, remedy)
            if self._record.trial is not None:
                self._do(trial.overtaken(self._record))
            self._write(self._file, after.encode())
            self.text = after
        self.changed.set()
        self._notes.append((What.CONFIGURED, who, text))
        self._write_notes()

    def _do(self, actions: Actions) -> None:
        """In order; what couldn't be written is found again by `resume`.

        Raises:
            OSError: something couldn't be.
        """
        with self._writing:
            for action in actions:
                if isinstance(action, Keep):
                    self._write(self._record_path, msgspec.json.encode(action.record))
                    before, self._record = self._record, action.record
                    if (before.version, before.state) != (self._record.version, self._record.state):
                        self._tell(self._record)
                else:
                    self._write(self._file, action.text.encode())
                    self.text = action.text

    def _do_if(self, text: str, actions: Actions, otherwise: Actions) -> None:
        """`actions` while the file has `text`, from which they were made; `otherwise` when the page
        has changed it since.

        Raises:
            OSError: something couldn't be written.
        """
        with self._writing:
            self._do(actions if self._on_disk() == text else otherwise)

    async def _done(self, actions: Actions, text: str, otherwise: Actions = ()) -> None:
        """The same beside the loop, since a sync on a card may take long."""
        try:
            await asyncio.to_thread(self._do_if, text, actions, otherwise)
        except OSError as error:
            _log.error("event=configuration_not_written why=%r", str(error))
        await asyncio.to_thread(self._write_notes)
        self.changed.set()

    async def _keep_before(self, text: str) -> str:
        """Put the text in force aside; why the folder can't be written, if so."""
        path = self._file.with_name(f"{self._file.name}.before")
        try:
            await asyncio.to_thread(self._write, path, text.encode())
        except OSError as error:
            folder = self._file.parent
            return f"{folder}: {error.strerror}. The agent's user must be able to write there"
        return ""

    def _tell(self, record: Record) -> None:
        said = f"version {record.version}" + (f": {record.reason}" if record.reason else "")
        _log.info("event=configuration state=%s what=%r", record.state, said)
        if record.state in _NOTED:
            who = f"cloud ({record.by})" if record.by else "cloud"
            self._notes.append((_NOTED[record.state], who, said))

    def _write_notes(self) -> None:
        """Into the site's log, once it is known where that is."""
        notes, self._notes = self._notes, []
        if self._configuration is not None:
            folder, now_ms = folder_of(self._configuration), self._clock.now_ms()
            for what, who, text in notes:
                note_here(folder, what, now_ms, who=who, text=text)

    def _now(self) -> Moment:
        return Moment(self._boot_id, self._clock.monotonic())

    def _read(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            remedy = "Name the gateway's TOML file"
            raise ConfigurationError(str(self.path), "", reason.lower(), remedy) from error

    def _on_disk(self) -> str:
        """What the file has now, "" where it can't be read: somebody at the site is at it."""
        try:
            return self._read()
        except ConfigurationError:
            return ""

    def _read_record(self) -> Record:
        try:
            return msgspec.json.decode(self._record_path.read_bytes(), type=Record)
        except FileNotFoundError:
            return Record()
        except (OSError, *MALFORMED) as error:
            _log.error("event=bad_record file=%s why=%r", self._record_path, str(error))
            return Record()
