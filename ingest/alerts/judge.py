"""Each round of the watch: points are judged, standings are kept, news goes into the boxes.

In: what is new in the store, what the watch establishes itself, what operators ask for. Out:
`rule_state`, `device_incident` and `rule_change` points, and news for every receiver. After a
restart it goes on where it was, from the store and from `alerts.json`; until the store is read
nothing is judged. What can't be written stays due, and no standing changes for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from devices.reading import Value
from ingest.alerts.desk import Acknowledge, AskSilence, waiting_asks
from ingest.alerts.looks import HOUR_MS, LATE_EVERY_MS, Looks
from ingest.alerts.memory import Memory, read_incidents, read_standings
from ingest.alerts.news import News, TellKey
from ingest.alerts.newsroom import Newsroom
from ingest.alerts.settings import AlertSettings
from ingest.health import Fact
from ingest.revenue import settled_zones
from ingest.revenue_days import last_day, last_revenue
from ingest.rules import RULES, Level, Subject
from ingest.rules.evaluator import Change, Evaluator
from ingest.rules.muting import Acknowledged, Muting
from ingest.rules.standing import Key, Phase, Place
from ingest.stores import Store
from ingest.stores.kinds import REVENUE
from ingest.stores.live import Change as Point
from wire.messages import Inventory

log = logging.getLogger("gampong.watch")

FORECAST_AFTER_MS = 10 * 60_000
"""After the hour, when the last one has been rolled up."""

WATCH = Place("watch", "watch", "watch", "main")


class Look(msgspec.Struct, frozen=True):
    """One round: what is new, what the watch knows of its own, and what is registered, or was:
    `retired` names gateways that are gone for good."""

    now_ms: int
    points: Sequence[Point]
    facts: Sequence[Fact]
    inventories: Mapping[str, Inventory]
    retired: Collection[str] = ()


class Alerts:
    """The evaluator of the watch, with its memory."""

    def __init__(
        self, store: Store, settings: AlertSettings, newsroom: Newsroom, late_s: float = 3600.0
    ) -> None:
        self.newsroom = newsroom
        self.evaluator = Evaluator(settings.limits, settings.hours)
        self.levels: Counter[Level] = Counter()
        self.memory = Memory(store)
        self._store, self._looks = store, Looks(store, late_s)
        self._zone = settings.zone
        self._restored = False
        self._forecast_ms = self._shares_ms = 0
        self._muting = Muting(0)
        self._look: Look | None = None  # the last whole round's

    def touch(self, gateway: str, hour_ms: int) -> None:
        """Late data of that gateway came into that hour."""
        self._looks.touch(gateway, hour_ms)

    async def round(self, look: Look) -> None:
        """Judge, keep, and put news into the boxes.

        Raises:
            StoreError: the store can't be read now; nothing is lost by it.
        """
        if not self._restored:
            standings = await read_standings(self._store, look.now_ms)
            incidents = await read_incidents(self._store, look.now_ms)
            self.evaluator.restore(standings, incidents)
            self._restored = True
        changes = self._judge(look)
        try:
            changes += await self._judge_looks(look)
        finally:  # the store may be away by now; what was judged is history all the same
            changes += self._retire(look)
            for change in changes:
                self.memory.note(change, look.now_ms)
        self._look = look
        await self._keep(look)

    @property
    def counts(self) -> dict[str, Value]:
        """Fields of `watch_health`."""
        boxes = self.newsroom.boxes.values()
        return {
            "firing": self.levels[Level.TOLD],
            "muted": self.levels[Level.MUTED],
            "messages_sent": sum(box.sent for box in boxes),
            "messages_failed": sum(box.failed for box in boxes),
            "news_waiting": sum(len(box.due) for box in boxes),
            "news_dropped": sum(box.lost for box in boxes) + self.memory.dropped,
        }

    async def take_asks(self, now_ms: int) -> None:
        """Take up what operators have left (`ingest.alerts.desk`); only once all is restored."""
        if self._look is None:
            return
        asks = await asyncio.to_thread(waiting_asks, self.newsroom.path)
        for path, ask in asks:
            if ask is None:
                log.error("event=bad_ask file=%s", path.name)
            elif isinstance(ask, AskSilence):
                self._silence(ask, now_ms)
            else:
                self._acknowledge(ask, now_ms)
        if asks:
            await self._keep(msgspec.structs.replace(self._look, now_ms=now_ms))
        for path, _ in asks:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _keep(self, look: Look) -> None:
        """What is told and muted now: into the boxes, the store and the desk's file."""
        self._muting = self._muting_of(look)
        self._tell(look.now_ms)
        await self.memory.keep(self.evaluator, self._muting, look.now_ms)
        await self.newsroom.save()

    def _judge(self, look: Look) -> list[Change]:
        changes: list[Change] = []
        for point in look.points:
            row = point.row
            changes += self.evaluator.take(
                point.kind, Place.of(row.tags), row.fields, row.time_ms, look.now_ms
            )
        return changes + self._judge_facts(look.facts, look.now_ms)

    def _judge_facts(self, facts: Sequence[Fact], now_ms: int) -> list[Change]:
        changes: list[Change] = []
        for fact in facts:
            changes += self.evaluator.take(
                fact.source, fact.place, fact.fields, now_ms, now_ms, fact.kind
            )
        return changes

    async def _judge_looks(self, look: Look) -> list[Change]:
        now_ms, gateways = look.now_ms, sorted(look.inventories)
        changes: list[Change] = []
        for kind, row in await self._looks.events(now_ms):
            place = Place.of(row.tags)
            changes += self.evaluator.events(kind, place, row.fields, row.time_ms, now_ms)
        for row in await self._looks.ingestors(now_ms):
            place = Place.of(row.tags)
            changes += self.evaluator.take(
                "ingestor_health", place, row.fields, row.time_ms, now_ms
            )
        if now_ms // LATE_EVERY_MS != self._shares_ms // LATE_EVERY_MS:
            shares = await self._looks.shares(now_ms, look.inventories)
            facts = [Fact("gateway_completeness", at, {"share": s}) for at, s in shares.items()]
            changes += self._judge_facts(facts + await self._paid(look), now_ms)
            self._shares_ms = now_ms
        if (now_ms - FORECAST_AFTER_MS) // HOUR_MS > self._forecast_ms // HOUR_MS:
            said = await self._looks.forecasts(now_ms, gateways)
            facts = [Fact("bin_forecast", at, msgspec.structs.asdict(f)) for at, f in said.items()]
            changes += self._judge_facts(facts, now_ms)
            self.memory.lines(fact.line(now_ms) for fact in facts)
            self._forecast_ms = now_ms - FORECAST_AFTER_MS
        return changes

    async def _paid(self, look: Look) -> list[Fact]:
        """What the last day brought, of zones whose gateways have told all of it."""
        _, ended_ms = last_day(look.now_ms, self._zone)
        settled = settled_zones(look.inventories, look.facts, ended_ms, look.now_ms)
        brought = await last_revenue(self._store, look.now_ms, self._zone)
        return [
            Fact(REVENUE.name, at, fields)
            for zone, (at, fields) in brought.items()
            if zone in settled
        ]

    def _retire(self, look: Look) -> list[Change]:
        """Retired gateways, and devices that no inventory names any more."""
        named = {one.name for each in look.inventories.values() for one in each.devices}
        known = {*look.inventories, *look.retired}

        def is_gone(subject: Subject, place: Place) -> bool:
            if subject is Subject.GATEWAY:
                return place.gateway in look.retired
            return (
                subject is Subject.DEVICE and place.device not in named and place.gateway in known
            )

        gone = [
            key
            for key, standing in self.evaluator.standings.items()
            if is_gone(RULES[key[0]].subject, standing.place)
        ]
        changes = []
        for key in gone:
            standing = self.evaluator.standings[key]
            self.memory.gone(key[0], standing.place)
            self.newsroom.end((*key, standing.since_ms), "retired", look.now_ms)
            change = self.evaluator.retire(key, look.now_ms)
            if change is not None:
                changes.append(change)
        return changes

    def _muting_of(self, look: Look) -> Muting:
        standings = self.evaluator.standings
        self.newsroom.forget_past(standings, look.now_ms)
        file = self.newsroom.file
        offline = {
            name
            for (rule, name, _), standing in standings.items()
            if rule == "gateway_offline" and standing.phase is Phase.FIRING
        }
        devices = [one for each in look.inventories.values() for one in each.devices]
        return Muting(
            look.now_ms,
            offline,
            {device.name for device in devices if device.maintenance},
            file.silences,
            {(one.rule, one.device, one.since_ms) for one in file.acknowledged},
        )

    def _tell(self, now_ms: int) -> None:
        firing: dict[TellKey, News] = {}
        muted: set[TellKey] = set()
        levels: Counter[Level] = Counter()
        for key, standing in self.evaluator.standings.items():
            if standing.phase is Phase.CLEAR:
                continue
            level = self._muting.level(key[0], standing)
            levels[level] += 1
            tell = (*key, standing.since_ms)
            if level is Level.TOLD:
                at_ms, value = standing.since_ms, standing.value
                firing[tell] = News(key[0], standing.place, "fires", at_ms, value, now_ms)
            elif level is Level.MUTED:
                muted.add(tell)
        for one in self.evaluator.incidents.open:
            tell = (one.rule, one.place.device, "", one.at_ms)
            quiet = self._muting.quiet(one.rule, one.place)
            levels[Level.MUTED if quiet else Level.TOLD] += 1
            if quiet:
                muted.add(tell)
            else:
                firing[tell] = News(one.rule, one.place, "incident", one.at_ms, 1.0, now_ms)
        self.levels = levels
        self.newsroom.tell(firing, muted, self.evaluator.standings, now_ms)

    def _silence(self, ask: AskSilence, now_ms: int) -> None:
        self.newsroom.silence(ask, now_ms)
        became = "silenced" if ask.until_ms > now_ms else "ended"
        place = Place(ask.device or "all", "all", ask.site or "all", "main")
        change = Change(ask.rule or "all", place, became, now_ms, 0.0)
        self.memory.note(change, now_ms, ask.who, ask.why, ask.until_ms)
        log.info("event=%s rule=%s device=%s who=%r", became, ask.rule, ask.device, ask.who)

    def _acknowledge(self, ask: Acknowledge, now_ms: int) -> None:
        done = 0
        for incident in self.evaluator.incidents.acknowledge(
            ask.rule, ask.device, ask.who, ask.why
        ):
            self.evaluator.changed.append(incident)
            self.memory.gone(ask.rule, incident.place)
            tell = (ask.rule, ask.device, "", incident.at_ms)
            self.newsroom.end(tell, "acknowledged", now_ms, ask.who)
            change = Change(ask.rule, incident.place, "acknowledged", incident.at_ms, 1.0)
            self.memory.note(change, now_ms, ask.who, ask.why)
            done += 1
        for key, standing in self._firing(ask.rule, ask.device):
            known = Acknowledged(ask.rule, ask.device, standing, ask.who, ask.why)
            self.newsroom.acknowledge(known)
            own = self.evaluator.standings[key]
            change = Change(ask.rule, own.place, "acknowledged", own.since_ms, own.value)
            self.memory.note(change, now_ms, ask.who, ask.why)
            done += 1
        log.info(
            "event=acknowledged n=%d rule=%s device=%s who=%r", done, ask.rule, ask.device, ask.who
        )

    def _firing(self, rule: str, device: str) -> list[tuple[Key, int]]:
        return [
            (key, standing.since_ms)
            for key, standing in self.evaluator.standings.items()
            if key[:2] == (rule, device) and standing.phase is Phase.FIRING
        ]
