"""The Command Center of one process: what all viewers share, and each page as one viewer gets it.

portal = Portal(feed, about, configuration, …)
portal.add(app)             # addresses that aren't NiceGUI's
for section in SECTIONS: portal.page(section)
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fastapi import Request
from nicegui import Client, ui

from dashboards.archive import Archive
from dashboards.configuration import PageConfiguration
from dashboards.feed import Feed
from dashboards.operators.alarms import Alarms
from dashboards.operators.audit import Audit
from dashboards.operators.context import Context, Section
from dashboards.operators.door import Entrance, entrance_of
from dashboards.operators.frame import frame, shell_of
from dashboards.operators.sessions import Sessions
from dashboards.operators.shared import Shared
from dashboards.page import About, setting
from dashboards.round_configuration import RoundConfiguration
from dashboards.texts import Language, words
from ingest.stores import StoreError
from wire.clock import Clock

RESPONSE_S = 15.0  # a page that takes longer says so; it should draw first and fill in afterwards

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Portal:
    """What all viewers share. `clock` is the city's; `sessions` is None where nobody logs in."""

    feed: Feed
    about: About
    configuration: PageConfiguration
    round: RoundConfiguration | None
    archive: Archive
    shared: Shared
    alarms: Alarms
    log: Audit
    sessions: Sessions | None
    clock: Clock
    wall: Clock

    def page(self, section: Section, sections: tuple[Section, ...]) -> None:
        """Make this section an address of NiceGUI's."""

        @ui.page(section.path, response_timeout=RESPONSE_S)
        async def page(client: Client, request: Request) -> None:
            await self._build(section, sections, client, request)

    async def _build(
        self, section: Section, sections: tuple[Section, ...], client: Client, request: Request
    ) -> None:
        entrance = entrance_of(request.scope)
        context = self._context(client, entrance)
        say = context.say
        client.title = f"{say(f'section.{section.name}')} · {say('page.title')}"
        self._end_with_session(client, entrance)
        told = setting(self.about, context.language, live=section.live)
        shell = shell_of(context, section, sections, entrance.form)
        with frame(context, section.name, told, shell):
            if not context.visitor.may(section.role):
                client.status_code = 403
                _notice(say("frame.not_allowed"))
                return
            try:
                await section.build(context)
            except StoreError as error:
                log.warning("event=page_unread section=%s reason=%s", section.name, error)
                _notice(say("frame.unread"), again=say("frame.again"))

    def _context(self, client: Client, entrance: Entrance) -> Context:
        language = entrance.language
        return Context(
            feed=self.feed,
            source=self.archive,
            shared=self.shared,
            clock=self.clock,
            language=language,
            say=sayer(language),
            visitor=entrance.visitor,
            client=client,
            configuration=self.configuration,
            zone=ZoneInfo(self.configuration.time_zone),
            round=self.round,
            alarms=self.alarms,
            address=entrance.address,
            log=self.log,
            wall=self.wall,
        )

    def _end_with_session(self, client: Client, entrance: Entrance) -> None:
        """The page of a session that is over is gone, with all that it could do."""
        if self.sessions is None:
            return

        async def ended() -> None:
            for document_id in tuple(client._delete_tasks):  # or it is deleted twice, an error
                client._cancel_delete_task(document_id)
            if client.id in Client.instances:
                client.delete()

        client.on_delete(self.sessions.hold(entrance.digest, ended))


def sayer(language: Language) -> Callable[[str], str]:
    """What gives a text of `texts.toml` in that language.

    Raises (what is returned does):
        KeyError: there is no such text, which is a mistake in the page.
    """
    return words(language).__getitem__


def _notice(text: str, again: str = "") -> None:
    with ui.element("section").classes("panel notice").props('role="alert"'):
        ui.label(text)
        if again:
            ui.link(again, "").props("data-again")
