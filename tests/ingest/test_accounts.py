"""Completeness as points: from a gateway's batches over a real broker to its day in the store."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from ingest.account_answers import Answers
from ingest.accounts import GRACE_MS, Accounts
from ingest.completeness import DAY_MS, day_of
from ingest.rollup import HOUR_MS
from ingest.stores import Bucket, Query, Row, Written
from ingest.stores.configuration import SqliteSettings
from ingest.stores.kinds import ROLLED_UP_KINDS
from ingest.stores.live import LiveStore
from ingest.stores.open import open_store
from tests.ingest.batches import EPOCH, line
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.ingest.test_watch import inventory, watching
from tests.servers import Mosquitto
from wire.clock import SystemClock
from wire.messages import Ledger, Status, encode_message
from wire.topics import Leaf, topic

MINUTE_MS = 60_000
NAME = "mahirah-01"
CITY = {NAME: inventory(NAME, "bay-1")}


class SetClock(SystemClock):
    """A clock that stands where the test puts it."""

    def __init__(self, at_ms: int) -> None:
        super().__init__()
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


class Town:
    """A store, a gateway's notes in it, and the watch's accounts."""

    def __init__(self, store: LiveStore, clock: SetClock) -> None:
        self.store, self.clock = store, clock
        self.accounts = Accounts(store, clock)

    def says(self, newest: int, oldest: int = 0, oldest_ms: int = 0, **other: object) -> None:
        status = Status(NAME, True, time_ms=self.clock.at_ms, epoch=EPOCH.hex())
        status = msgspec.structs.replace(
            status,
            newest_sequence=newest,
            oldest_sequence=oldest,
            oldest_waiting_ms=oldest_ms,
            **other,
        )
        self.accounts.hear(status)

    async def noted(self, *batches: tuple[int, int]) -> None:
        """Sequence and seal time of batches that were settled."""
        tags = f"device={NAME},gateway={NAME},site=pasar,zone=main"
        lines = [
            f'gateway_batch,{tags} epoch="{EPOCH.hex()}",lag_ms=9i,readings=60i,rejected=0i,'
            f"sequence={sequence}i {seal_ms}"
            for sequence, seal_ms in batches
        ]
        assert await self.store.write(Bucket.CITY, lines) == Written()

    async def heard(self, *uplinks: tuple[int, int]) -> None:
        """Time and frame counter of uplinks in the store."""
        lines = [
            line("bay-1", time_ms, frame_counter=counter).replace(",site", f",gateway={NAME},site")
            for time_ms, counter in uplinks
        ]
        assert await self.store.write(Bucket.CITY, lines) == Written()

    async def day(self, start_ms: int) -> Row:
        """The point of that day, once what is due is counted."""
        await self.accounts.round(CITY, self.clock.at_ms)
        return (await days(self.store))[start_ms]


async def days(store: LiveStore) -> dict[int, Row]:
    query = Query(
        kind="gateway_completeness",
        fields=tuple(ROLLED_UP_KINDS["gateway_completeness"].fields),
        start_ms=0,
        stop_ms=2**52,
        group=("device", "gateway", "site"),
        bucket=Bucket.HOURLY,
    )
    return {row.time_ms: row for row in await store.read(query)}


NOON = day_of(SystemClock().now_ms()) - 3 * DAY_MS + DAY_MS // 2
TODAY = day_of(NOON)


@pytest.fixture
def town(tmp_path: Path):
    """Runs a test in a town whose clock stands at noon, three days ago."""

    def run(test) -> None:
        async def main() -> None:
            clock = SetClock(NOON)
            settings = SqliteSettings(path=str(tmp_path / "store.db"))
            async with open_store(settings, clock) as store:
                await test(Town(store, clock))

        asyncio.run(main())

    return run


def test_a_day_is_counted_while_it_lasts_and_finished_when_it_is_over(town):
    async def test(town: Town) -> None:
        await town.noted(*((n, NOON - (10 - n) * MINUTE_MS) for n in range(1, 8)))
        town.says(9, oldest=8, oldest_ms=NOON - 2 * MINUTE_MS)
        row = await town.day(TODAY)
        assert row.tags == {"device": NAME, "gateway": NAME, "site": "pasar", "zone": "main"}
        fields = row.fields
        assert (fields["sealed"], fields["stored"], fields["waiting"]) == (9, 7, 2)
        assert (fields["share"], fields["unfinished"], fields["readings"]) == (1.0, 1, 420)

        await town.noted((8, NOON), (9, NOON + MINUTE_MS))
        town.clock.at_ms = TODAY + DAY_MS + GRACE_MS + HOUR_MS
        town.says(9)
        fields = (await town.day(TODAY)).fields
        assert (fields["stored"], fields["waiting"], fields["unfinished"]) == (9, 0, 0)
        assert TODAY + DAY_MS not in await days(town.store)  # nothing sealed yet: no point

    town(test)


def test_a_days_point_keeps_how_worn_the_card_was_and_a_later_count_leaves_it(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON))
        town.says(1, card_life_used=0.3)
        assert (await town.day(TODAY)).fields["card_life_used"] == 0.3
        town.clock.at_ms = TODAY + DAY_MS + GRACE_MS + HOUR_MS
        town.says(1, card_life_used=0.4)
        assert (await town.day(TODAY)).fields["card_life_used"] == 0.3

    town(test)


def test_a_gap_is_named_and_closes_when_its_batches_come_late(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON - 9 * MINUTE_MS), (4, NOON - 6 * MINUTE_MS))
        town.says(5)
        fields = (await town.day(TODAY)).fields
        assert (fields["missing"], fields["gaps"], fields["missing_ranges"]) == (3, 2, "2-3 5")
        assert (fields["why"], fields["share"]) == ("unexplained", 0.4)

        town.clock.at_ms = NOON + 2 * DAY_MS
        town.says(5)
        assert (await town.day(TODAY)).fields["unfinished"] == 0
        await town.noted(*((n, NOON - (10 - n) * MINUTE_MS) for n in (2, 3, 5)))
        town.accounts.touch(NAME, NOON - HOUR_MS)  # the late readings' hour
        fields = (await town.day(TODAY)).fields
        assert (fields["missing"], fields["missing_ranges"], fields["share"]) == (0, "", 1.0)

    town(test)


def test_a_watch_that_starts_anew_counts_the_days_it_missed_and_no_others(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON), (2, NOON + DAY_MS), (4, NOON + 2 * DAY_MS))
        town.clock.at_ms = NOON + 2 * DAY_MS + HOUR_MS
        town.says(4)
        await town.accounts.round(CITY, town.clock.at_ms)
        counted = {start: row.fields["stored"] for start, row in (await days(town.store)).items()}
        assert counted == {TODAY: 1, TODAY + DAY_MS: 1, TODAY + 2 * DAY_MS: 1}

        again = Town(town.store, town.clock)
        again.says(4)
        # Only the day that lasts is open: the finished ones aren't read again.
        assert await again.accounts.round(CITY, town.clock.at_ms) == 1

    town(test)


def test_a_gateway_that_never_said_what_waits_is_not_judged(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON), (5, NOON + 1))
        assert await town.accounts.round(CITY, NOON) == 0
        town.says(5, oldest=2, oldest_ms=NOON)
        assert (await town.day(TODAY)).fields["waiting"] == 3

    town(test)


def test_a_gateway_that_went_silent_keeps_its_last_day_open_until_it_is_heard(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON))
        town.says(2, oldest=2, oldest_ms=NOON)
        assert (await town.day(TODAY)).fields["waiting"] == 1
        town.clock.at_ms = NOON + DAY_MS
        assert (await town.day(TODAY)).fields["unfinished"] == 1
        town.says(3)
        town.clock.at_ms += HOUR_MS
        fields = (await town.day(TODAY)).fields
        assert (fields["missing"], fields["unfinished"]) == (1, 0)

    town(test)


def test_of_a_country_of_gateways_no_written_day_is_forgotten(town):
    async def scenario(town: Town) -> None:
        today, gateways = day_of(town.clock.at_ms), 3300
        for day in range(today - 30 * DAY_MS, today + 1, DAY_MS):
            tags = [f"device=gw-{n},gateway=gw-{n},site=s,zone=main" for n in range(gateways)]
            lines = [f"gateway_completeness,{each} missing=0i {day}" for each in tags]
            assert await town.store.write(Bucket.HOURLY, lines) == Written()
        known = await Answers(town.store).known((), today - 30 * DAY_MS, today)
        assert len(known) == 31 * gateways

    town(scenario)


def test_what_was_dropped_for_room_is_told_from_what_nobody_can_explain(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON - DAY_MS), (2, NOON), (5, NOON + 1))
        town.says(5, ledger=Ledger(dropped={"full": 120}))
        assert (await town.day(TODAY)).fields["why"] == "dropped full"

        # Next day nothing more was dropped, and a batch is missing all the same.
        town.clock.at_ms = NOON + DAY_MS
        await town.noted((6, NOON + DAY_MS - 2), (8, NOON + DAY_MS - 1))
        town.says(8, ledger=Ledger(dropped={"full": 120}))
        row = await town.day(TODAY + DAY_MS)
        assert (row.fields["missing_ranges"], row.fields["why"]) == ("7", "unexplained")
        assert (await town.day(TODAY)).fields["why"] == "dropped full"

    town(test)


def test_what_waited_on_a_card_that_burnt_is_missing_from_its_day(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON - 2), (2, NOON - 1))
        town.says(6, oldest=3, oldest_ms=NOON)
        assert (await town.day(TODAY)).fields["waiting"] == 4
        town.clock.at_ms += HOUR_MS
        town.says(1, oldest=1, oldest_ms=town.clock.at_ms, epoch="cd" * 16)
        fields = (await town.day(TODAY)).fields
        assert (fields["missing_ranges"], fields["why"]) == ("3-6", "epoch ended")
        town.clock.at_ms += HOUR_MS
        town.says(1, oldest=1, oldest_ms=town.clock.at_ms, epoch="cd" * 16)
        assert (await town.day(TODAY)).fields["missing_ranges"] == "3-6"

    town(test)


def test_radio_loss_is_counted_apart_from_what_the_pipeline_has_not_brought(town):
    async def test(town: Town) -> None:
        await town.noted(*((n, NOON + n * HOUR_MS) for n in (1, 2, 3, 5)))
        await town.heard((NOON + HOUR_MS, 7), (NOON + 2 * HOUR_MS - 1, 10))
        await town.heard((NOON + 5 * HOUR_MS - 1, 14))
        town.clock.at_ms = NOON + 6 * HOUR_MS
        town.says(5, oldest=4, oldest_ms=NOON + 4 * HOUR_MS)
        fields = (await town.day(TODAY)).fields
        assert (fields["radio_expected"], fields["radio_heard"]) == (5, 3)
        assert (fields["radio_share"], fields["radio_unsure"]) == (0.6, 3)

    town(test)


def test_a_round_that_takes_too_long_leaves_the_rest_to_the_next_and_nobody_is_left_out(
    town, monkeypatch
):
    async def test(town: Town) -> None:
        monkeypatch.setattr("ingest.accounts.ROUND_S", -1.0)
        await town.noted((1, NOON))
        town.says(1)
        assert await town.accounts.round(CITY, NOON) == 0
        monkeypatch.setattr("ingest.accounts.ROUND_S", 60.0)
        assert await town.accounts.round(CITY, NOON) == 1

    town(test)


def test_a_last_will_from_before_says_nothing_new(town):
    async def test(town: Town) -> None:
        await town.noted((1, NOON), (4, NOON + 1))
        town.clock.at_ms += HOUR_MS
        town.says(4)
        town.clock.at_ms -= HOUR_MS
        town.says(1, oldest=1, online=False)
        town.clock.at_ms += HOUR_MS
        assert (await town.day(TODAY)).fields["missing_ranges"] == "2-3"

    town(test)


def test_every_settled_batch_of_a_gateway_counts_and_none_looks_like_a_gap(tmp_path):
    """Good, partly bad, wholly bad, unreadable and repeated batches, over mosquitto."""

    async def main(broker: Mosquitto) -> None:
        settings, clock = configuration(tmp_path, broker), SystemClock()
        now_ms = clock.now_ms()
        good = [line("bay-1", now_ms), line("bay-2", now_ms)]
        bad = [text.replace("=1i", "=9i") for text in good]
        async with ingesting(settings) as (_, store), Gateway(broker, NAME) as gateway:
            batches: list[list[str] | bytes]
            batches = [good, [good[0], bad[0]], bad, b"not a batch", good]
            for sequence, content in enumerate(batches, 1):
                gateway.send(content, sequence, seal_ms=now_ms + sequence)
            gateway.send(good, 6)  # says no seal time
            gateway.send(good, 1, seal_ms=now_ms + 1)
            for sequence in range(1, 7):
                await gateway.fate(sequence)
            accounts = Accounts(store, clock)
            status = Status(NAME, True, time_ms=now_ms, epoch=EPOCH.hex(), newest_sequence=7)
            accounts.hear(msgspec.structs.replace(status, oldest_sequence=7))
            await accounts.round(CITY, clock.now_ms())
            (row,) = (await days(store)).values()
            fields = row.fields
            assert (fields["stored"], fields["rejected"], fields["missing"]) == (4, 2, 0)
            assert (fields["readings"], fields["readings_rejected"]) == (7, 3)

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(main(broker))


def test_the_watch_counts_what_gateways_say_over_the_broker(tmp_path):
    async def main(broker: Mosquitto) -> None:
        settings, clock = configuration(tmp_path, broker), SystemClock()
        async with (
            watching(settings, tmp_path, clock) as (watch, store),
            Gateway(broker, NAME) as gateway,
        ):
            town = Town(store, SetClock(clock.now_ms()))
            await town.noted((1, clock.now_ms() - 3), (3, clock.now_ms() - 1))
            status = Status(NAME, True, time_ms=clock.now_ms(), epoch=EPOCH.hex())
            status = msgspec.structs.replace(status, newest_sequence=3)
            for leaf, message in ((Leaf.INVENTORY, CITY[NAME]), (Leaf.STATUS, status)):
                name = topic(NAME, leaf)
                gateway.client.publish(name, encode_message(message), qos=1, retain=True)
            await eventually(lambda: NAME in watch.heard and watch.registry.inventories, "heard")
            await watch.round(clock.now_ms())
            (row,) = (await days(store)).values()
            assert row.fields["missing_ranges"] == "2"

    with Mosquitto(tmp_path / "broker") as broker:
        asyncio.run(main(broker))


@pytest.mark.parametrize("rows_max", [1_000_000, 10])
def test_gateways_that_are_counted_together_have_each_their_own_day(
    town, monkeypatch: pytest.MonkeyPatch, rows_max: int
) -> None:
    """Also where an answer for all of them would be cut: what it leaves out isn't missing."""
    names = [f"gw-{number}" for number in range(7)]

    async def story(here: Town) -> None:
        monkeypatch.setattr("ingest.account_answers.ROWS_MAX", rows_max)
        lines = []
        for number, name in enumerate(names):
            status = Status(name, True, time_ms=NOON, epoch=EPOCH.hex(), newest_sequence=5 + number)
            here.accounts.hear(status)
            tags = f"device={name},gateway={name},site=pasar,zone=main"
            lines += [
                f'gateway_batch,{tags} epoch="{EPOCH.hex()}",lag_ms=9i,readings=60i,rejected=0i,'
                f"sequence={sequence}i {TODAY + sequence * MINUTE_MS}"
                for sequence in range(1, 6)
            ]
        assert await here.store.write(Bucket.CITY, lines) == Written()
        city = {name: inventory(name, f"bay-of-{name}") for name in names}
        await here.accounts.round(city, here.clock.at_ms)
        query = Query(
            kind="gateway_completeness",
            fields=("stored", "missing"),
            start_ms=0,
            stop_ms=2**52,
            bucket=Bucket.HOURLY,
        )
        found = {row.tags["device"]: row.fields for row in await here.store.read(query)}
        assert found == {name: {"stored": 5, "missing": n} for n, name in enumerate(names)}

    town(story)
