"""What the cloud asks of this gateway: another configuration, a command.

In: messages on `config` and `command`. Out: `config/applied`, `command/result`, and a file that is
changed or not (`edge/configuration_file.py`). Beside the line: whatever is asked, readings are
read, sealed and sent, and a broker whose access list knows nothing of this takes nothing from them.

A trial is confirmed by the fate of a batch that was sealed in a run of its own: then sensors are
read, the card takes it, and the way to the database is open. What waited from before doesn't count.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from edge.beside import may_hear
from edge.broker import Connection, Outgoing, Received
from edge.commands import Commands
from edge.configuration_file import ConfigurationFile
from edge.links import Sink
from edge.onlooker import Inside
from edge.records import Sealed
from wire.clock import Clock
from wire.messages import BadMessage, Fate, decode_message, pack_message
from wire.remote import Applied, Command, CommandResult, Desired
from wire.topics import Leaf, topic

LOOK_S = 1.0
COMMANDS_MAX = 16
"""Waiting to be carried out; the next one is dropped, and whoever asked hears nothing."""

RESULTS_MAX = 32
"""Waiting for a connection; the oldest goes: nobody waits for it any more."""

_log = logging.getLogger(__name__)


_TOPICS: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "all": lambda command, config: (command, config),
    "commands": lambda command, config: (command,),
    "nothing": lambda command, config: (),
}


class Remote:
    """One run of the agent's. An `Onlooker`, and a guest beside the uplink."""

    def __init__(self, file: ConfigurationFile, gateway: str, accept: str, clock: Clock) -> None:
        self._file, self._gateway = file, gateway
        self._config = topic(gateway, Leaf.CONFIG)
        self._command = topic(gateway, Leaf.COMMAND)
        self.topics: Sequence[str] = _TOPICS[accept](self._command, self._config)
        self._commands = Commands(clock, lambda: file.text)
        self._asked: deque[Command] = deque(maxlen=COMMANDS_MAX)
        self._desired: Desired | None = None
        self._results: deque[CommandResult] = deque(maxlen=RESULTS_MAX)
        self._sealed_here: set[int] = set()
        self._confirmed = False
        self._told: Applied | None = None
        self._work, self._to_tell = asyncio.Event(), file.changed

    def hear(self, message: Received) -> None:
        """A message on one of the topics."""
        if not message.payload:  # a retained one that was taken away
            return
        try:
            if message.topic == self._config:
                self._desired = decode_message(message.payload, Desired)
            elif len(self._asked) < COMMANDS_MAX and not message.retained:
                self._asked.append(decode_message(message.payload, Command))
        except BadMessage as error:
            _log.warning("event=bad_message topic=%s reason=%r", message.topic, str(error))
        self._work.set()

    async def speak(self, connection: Connection) -> None:
        """Answers and reports, for as long as this connection lasts."""
        if self.topics and not await may_hear(connection, self.topics):
            _log.warning("event=not_allowed topics=%r", self.topics)
        self._told = None  # this broker may have forgotten it
        while True:
            self._to_tell.clear()
            await self._report(connection)
            while self._results:
                message = self._message(Leaf.COMMAND_RESULT, self._results[0])
                await connection.publish(message)
                self._results.popleft()
            await self._to_tell.wait()

    async def _report(self, connection: Connection) -> None:
        """What became of the newest configuration, where there ever was one and it is news."""
        applied = self._file.applied
        if not applied.version or applied == self._told:
            return
        code = await connection.publish(self._message(Leaf.CONFIG_APPLIED, applied, retain=True))
        if code < 0x80:
            self._told = applied

    def ears(self, sink: Sink) -> Sink:
        """As an onlooker does: hears what devices answer."""
        return self._commands.ears(sink)

    def sealed(self, batches: Sequence[Sealed]) -> None:
        """Batches of this run, while there is a trial."""
        if self._file.is_trying and not self._confirmed:
            self._sealed_here.update(batch.key.sequence for batch in batches)

    def settled(self, fates: Sequence[Fate]) -> None:
        """One of them is stored or rejected: the whole way works."""
        if not self._confirmed:
            self._confirmed = any(f.final and f.sequence in self._sealed_here for f in fates)
            if self._confirmed:
                self._work.set()

    async def watch(self, inside: Inside) -> None:
        """Carry out what is asked, and look after a trial."""
        inside.beside(self)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self._file.is_trying else None):
                    await self._work.wait()
            self._work.clear()
            if self._file.is_trying:
                await self._mind_trial()
            if self._desired is not None and not self._file.is_trying:
                desired, self._desired = self._desired, None
                await self._file.desire(desired)
            if self._asked:  # one a turn: a trial's end mustn't wait for many
                result = await self._commands.carry_out(self._asked.popleft(), inside)
                self._results.append(result)
                self._to_tell.set()
                self._work.set()

    async def _mind_trial(self) -> None:
        if self._confirmed:
            await self._file.confirmed()
        else:
            await self._file.time_passed()

    def _message(
        self, leaf: Leaf, message: Applied | CommandResult, retain: bool = False
    ) -> Outgoing:
        return Outgoing(topic(self._gateway, leaf), pack_message(message), retain=retain)
