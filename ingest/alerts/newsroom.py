"""Who has been told what: the desk's file in memory, and a box of news for every receiver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from ingest.alerts.desk import AskSilence, DeskFile, load_desk, save_desk
from ingest.alerts.news import Box, News, TellKey, Told, compare
from ingest.alerts.settings import Receiver
from ingest.rules import RULES
from ingest.rules.muting import Acknowledged, Silence
from ingest.rules.standing import Key, Phase, Standing

log = logging.getLogger("gampong.watch")


class Newsroom:
    """Silences, acknowledgements, what counts as told, and the boxes."""

    def __init__(self, path: Path, receivers: Mapping[str, Receiver]) -> None:
        """A box for each receiver, by name; what waited for one that is gone is let go.

        Raises:
            ConfigurationError: the desk's file is damaged.
        """
        self.path, self._receivers = path, dict(receivers)
        self.file: DeskFile = load_desk(path)
        self.told: dict[TellKey, News] = {
            told.key: told.news for told in self.file.told if told.news.rule in RULES
        }
        for name in set(self.file.boxes) - set(receivers):
            log.warning("event=receiver_gone name=%r due=%d", name, len(self.file.boxes[name].due))
        self.file.boxes = {name: self.file.boxes.get(name, Box()) for name in receivers}
        for box in self.file.boxes.values():  # a newer version may have dropped a rule
            box.due = [one for one in box.due if one.rule in RULES]
        self._saving = asyncio.Lock()
        self._saved = b""

    @property
    def boxes(self) -> dict[str, Box]:
        return self.file.boxes

    def tell(
        self,
        firing: Mapping[TellKey, News],
        muted: Collection[TellKey],
        standings: Mapping[Key, Standing],
        now_ms: int,
    ) -> None:
        """Put what is new into the boxes."""
        news, self.told = compare(self.told, firing, muted, standings, now_ms)
        self._put(news)

    def end(self, key: TellKey, became: str, now_ms: int, who: str = "") -> None:
        """People's word ended it: an acknowledgement, or a device taken away."""
        known = self.told.pop(key, None)
        if known is not None:
            ended = msgspec.structs.replace(
                known, became=became, found_ms=now_ms, ended_ms=now_ms, who=who
            )
            self._put([ended])

    def silence(self, ask: AskSilence, now_ms: int) -> None:
        """Another silence for the same in place of the one before; a past one only ends it."""
        scope = ask.rule, ask.device, ask.site
        kept = [one for one in self.file.silences if (one.rule, one.device, one.site) != scope]
        if ask.until_ms > now_ms:
            kept.append(Silence(ask.until_ms, ask.who, ask.why, *scope))
        self.file.silences = kept

    def acknowledge(self, known: Acknowledged) -> None:
        self.file.acknowledged.append(known)

    def forget_past(self, standings: Mapping[Key, Standing], now_ms: int) -> None:
        """Silences that are over, and acknowledgements of what doesn't fire any more."""
        self.file.silences = [one for one in self.file.silences if one.until_ms > now_ms]
        if not self.file.acknowledged:
            return
        firing = {
            (rule, device, standing.since_ms)
            for (rule, device, _), standing in standings.items()
            if standing.phase is Phase.FIRING
        }
        self.file.acknowledged = [
            one for one in self.file.acknowledged if (one.rule, one.device, one.since_ms) in firing
        ]

    def all_clear(self, name: str) -> bool:
        """Whether nothing that this receiver was told still fires."""
        return not any(self._is_for(name, news) for news in self.told.values())

    async def save(self) -> None:
        """The desk's file, at once and whole, when there is something new in it. A disk that is
        full is said; alerts go on, and the next round tries again."""
        self.file.told = [Told(key, news) for key, news in sorted(self.told.items())]
        async with self._saving:
            text = msgspec.json.encode(self.file)
            if text != self._saved:
                try:
                    await asyncio.to_thread(save_desk, self.path, text)
                    self._saved = text
                except OSError as error:
                    log.error("event=desk_not_saved file=%s why=%s", self.path, error)

    def _put(self, news: Sequence[News]) -> None:
        for name, box in self.boxes.items():
            box.put([one for one in news if self._is_for(name, one)])

    def _is_for(self, name: str, news: News) -> bool:
        own = self._receivers[name]
        return (not own.sites or news.place.site in own.sites) and (
            not own.severities or news.severity in own.severities
        )
