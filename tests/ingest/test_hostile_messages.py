"""What a gateway says of itself may be anything: the watch goes on, its points can be stored."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import UTC

import pytest

from ingest.broker import Door
from ingest.completeness import DAY_MS, Mark, Note, account, day_of
from ingest.health import point
from ingest.rollups import RollUps
from ingest.stores import Bucket
from ingest.stores.configuration import SqliteSettings
from ingest.stores.kinds import GATEWAY_HEALTH
from ingest.stores.open import open_store
from ingest.watch import Watch
from tests.ingest.batches import NOW_MS
from tests.ingest.gateway import Gateway, configuration, eventually
from wire.clock import SystemClock
from wire.messages import BadMessage, Status, decode_message
from wire.topics import Leaf, topic

ENDLESS = int("9" * 400)
HOUR_MS = 3_600_000
NUMBERS = ("oldest_waiting_ms", "outbox_bytes", "outbox_bytes_max", "newest_sequence", "time_ms")


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("number", [ENDLESS, -ENDLESS, 2**63, 2**53 + 1])
def test_a_number_that_nobody_can_divide_by_or_store_makes_a_message_no_status(name, number):
    said = json.dumps({"gateway": "gw", "online": True, name: number}).encode()
    with pytest.raises(BadMessage):
        decode_message(said, Status)


def test_a_sum_of_many_great_numbers_is_told_as_the_greatest_that_can_be():
    line = point(GATEWAY_HEALTH, ("g", "g", "s", "main"), {"refused": 2**70, "age_s": 1e300}, 5)
    assert f"refused={2**53}i" in line
    assert "age_s=1e+10" in line or "age_s=10000000000" in line


def test_a_status_of_endless_numbers_ends_nothing_and_others_are_heard(tmp_path, broker):
    """One retained message of 500 bytes once ended the watch, and again at each start."""
    many = {f"reason-{n}": 2**53 for n in range(2000)}
    bad: list[dict[str, object]] = [
        {"oldest_waiting_ms": ENDLESS},
        {"uplink_bytes": ENDLESS, "uplink_quota_bytes": 1},
        {"ledger": {"refused": many, "dropped": many}},
        {"links": [{"name": "x", "state": "up", "errors": many}]},
        {"oldest_waiting_ms": -(2**53), "outbox_bytes": 2**53, "outbox_bytes_max": -5},
        {"epoch": "e" * 200_000, "newest_sequence": 2**53, "oldest_sequence": 1},
    ]

    async def main() -> None:
        settings, clock = configuration(tmp_path, broker), SystemClock()
        async with open_store(settings.store, clock) as store, asyncio.TaskGroup() as group:
            watch = Watch(store, clock, tmp_path / "registry.json")
            task = group.create_task(watch.run(Door(settings.broker, None, None), "watch-bad"))
            await eventually(lambda: watch.listening, "the watch listens")
            async with Gateway(broker) as hostile, Gateway(broker) as good:
                inventory = {"gateway": hostile.name, "site": "s", "seal_interval_s": 60}
                say(hostile, Leaf.INVENTORY, inventory)
                say(good, Leaf.INVENTORY, {**inventory, "gateway": good.name})
                await eventually(lambda: len(watch.registry.inventories) == 2, "both announced")
                for more in bad:
                    say(hostile, Leaf.STATUS, {"gateway": hostile.name, "online": True, **more})
                    say(good, Leaf.STATUS, {"gateway": good.name, "online": True})
                    watch.heard.pop(good.name, None)
                    await eventually(lambda: good.name in watch.heard, "the good one is heard")
                    await watch.round(clock.now_ms())
            assert not task.done()
            task.cancel()

    asyncio.run(main())


def say(gateway: Gateway, leaf: Leaf, message: dict[str, object]) -> None:
    gateway.client.publish(topic(gateway.name, leaf), json.dumps(message).encode(), qos=1)


def test_a_gateway_that_invents_an_epoch_for_each_batch_is_counted_in_bounded_work():
    notes = [Note(f"e{n}", 10 * n, NOW_MS - 1000 * n, 13, 0) for n in range(1, 30_000)]
    mark = Mark("e1", 1, 2**53, NOW_MS - DAY_MS, NOW_MS, {})
    days, holes = account(notes, mark, [day_of(NOW_MS)])
    assert days[day_of(NOW_MS)].stored > 0
    assert len(holes) < 100_000


def test_hours_that_are_touched_again_and_again_keep_no_other_hour_from_its_turn(tmp_path):
    """A gateway touches old hours in each round; the hour that just ended, and another gateway's,
    are done all the same."""

    class Slow(SystemClock):
        """Each look at the watch costs more than a round may take: one hour a round is done."""

        passed_s = 0.0

        def monotonic(self) -> float:
            self.passed_s += 11.0
            return self.passed_s

    async def main() -> list[int]:
        done: list[int] = []
        now_ms = SystemClock().now_ms()
        now_ms += HOUR_MS // 2 - now_ms % HOUR_MS
        async with open_store(configuration_of(tmp_path), SystemClock()) as store:
            roll_ups = RollUps(store, Slow(), UTC, Counter(), done.append)
            theirs = now_ms - now_ms % HOUR_MS - 5 * HOUR_MS
            for nth in range(6):
                touched = [now_ms - now_ms % HOUR_MS - (100 + n) * HOUR_MS for n in range(3)]
                touched += [theirs] if nth == 0 else []
                stamp = now_ms + 60_000 * nth
                await store.write(
                    Bucket.HEALTH,
                    [
                        f"rollup_due,device=g{n},gateway=g{n},site=s,zone=main hour_ms={hour}i "
                        f"{stamp + n}"
                        for n, hour in enumerate(touched)
                    ],
                )
                await roll_ups.see_touched(stamp + 1000)
                await roll_ups.round(stamp)
        assert now_ms - now_ms % HOUR_MS - HOUR_MS in done
        assert theirs in done
        return done

    asyncio.run(main())


def configuration_of(folder):
    return SqliteSettings(path=str(folder / "store.db"))
