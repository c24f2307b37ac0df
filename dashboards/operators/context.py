"""What a page of the Command Center is given, and what a page is: the contract between the two.

    SECTION = Section("parking", "/parking", build)

    async def build(context: Context) -> None:
        label = ui.label(context.say("page.loading"))
        context.follow(lambda: label.set_text(...))

A page is built once for each viewer, in their browser's client, and lives as long as their tab.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from nicegui import Client

from dashboards.configuration import PageConfiguration
from dashboards.feed import Feed
from dashboards.operators.alarms import Alarms, in_bounds
from dashboards.operators.audit import Audit, Entry
from dashboards.operators.shared import Shared
from dashboards.operators.visitor import NotAllowedError, Role, Visitor
from dashboards.round_configuration import RoundConfiguration
from dashboards.texts import Language
from ingest.alerts.desk import Acknowledge, Ask, AskSilence
from ingest.stores import Reader
from wire.clock import Clock


@dataclass(frozen=True)
class Context:
    """One viewer's page.

    Args:
        feed: the live city; `feed.board.devices` has each device with its place and state.
        source: answers queries about what was; one connection for all viewers.
        shared: what many viewers ask for is reckoned once: `await shared.get(key, old_s, make)`.
        clock: city time.
        language: the viewer's.
        say: a text of `texts.toml` in that language, by `section.key`.
        visitor: who looks; `visitor.may(Role.OPERATOR)`.
        client: NiceGUI's, of this tab.
        configuration: `page.toml`.
        zone: its time zone.
        round: depot and trucks, None where the operator gave none.
        alarms: what fires, and how it is acknowledged.
        address: where the visitor's browser is, for the audit log.
        log: the audit log, `wall` its clock.
    """

    feed: Feed
    source: Reader
    shared: Shared
    clock: Clock
    language: Language
    say: Callable[[str], str]
    visitor: Visitor
    client: Client
    configuration: PageConfiguration
    zone: ZoneInfo
    round: RoundConfiguration | None
    alarms: Alarms
    address: str
    log: Audit
    wall: Clock

    def follow(self, told: Callable[[], None]) -> None:
        """Call `told` after each change of the feed, and once a second, while this page lives.
        Never before the browser is there; new elements go into the client's content."""
        self._listen(self.feed.followers, told)

    def follow_alarms(self, told: Callable[[], None]) -> None:
        """The same after each look at what fires."""
        self._listen(self.alarms.followers, told)

    def audit(self, action: str, target: str, note: str = "") -> None:
        """Write down that this visitor did that; the log is bounded, and so are these texts."""
        now_ms = self.wall.now_ms()
        self.log.write(Entry(now_ms, self.visitor.name, self.address, action, target, note))

    async def acknowledge(self, rule: str, device: str, why: str) -> Path:
        """Tell the watch that this visitor sees to it. The file is gone once the watch has it.

        Raises:
            NotAllowedError: a viewer may not.
            ValueError: no reason, or a long one.
            OSError: there is no desk, or its folder can't be written.
        """
        ask = Acknowledge(rule, device, self.visitor.name, in_bounds(why))
        return await self._ask(ask, "acknowledge", f"{rule} {device}")

    async def silence(
        self, until_ms: int, why: str, *, rule: str = "", device: str = "", site: str = ""
    ) -> Path:
        """Have the watch tell nothing of what matches until then (city time); a time in the past
        ends such a silence. Raises as `acknowledge`."""
        ask = AskSilence(until_ms, self.visitor.name, in_bounds(why), rule, device, site)
        of = f"{rule or '*'} {device or '*'} {site or '*'} until {until_ms}"
        return await self._ask(ask, "silence", of)

    async def _ask(self, ask: Ask, action: str, target: str) -> Path:
        if not self.visitor.may(Role.OPERATOR):
            raise NotAllowedError(f"{self.visitor.role} may not: {Role.OPERATOR} may")
        left = await self.alarms.leave(ask)
        self.audit(action, target, ask.why)
        return left

    def _listen(self, followers: set[Callable[[], None]], told: Callable[[], None]) -> None:
        def tell() -> None:
            if self.client.has_socket_connection:
                with self.client:
                    told()

        followers.add(tell)
        self.client.on_delete(lambda: followers.discard(tell))


class Section(NamedTuple):
    """A page: its name (the text `section.<name>`), where it is, what builds it, who may see it.

    `live` pages get the whole live city in the browser (`gampong-live`: marks, readings, tiles,
    trend), as the map needs it; others only its time and whether the store answers.
    """

    name: str
    path: str
    build: Callable[[Context], Awaitable[None]]
    role: Role = Role.VIEWER
    live: bool = False
