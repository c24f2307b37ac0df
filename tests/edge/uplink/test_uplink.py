"""The uplink on a real mosquitto, with a cloud that answers, holds, is silent, or is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import Awaitable, Callable

from edge.configuration import EdgeConfiguration
from tests.edge.uplink.far_side import (
    WAIT_S,
    FarSide,
    confirm,
    hold,
    ignore,
    retained,
    until,
    wrong_digest,
)
from tests.edge.uplink.gateway import NAME, Running, configuration, drained, heard, running
from tests.servers import Mosquitto
from wire.batch import CONTENT_TYPE, digest
from wire.messages import Inventory, Status, decode_message, encode_message
from wire.topics import Leaf, topic

STATUS = topic(NAME, Leaf.STATUS)


def run(settings: EdgeConfiguration, scenario: Callable[[Running], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with running(settings) as gateway:
            await scenario(gateway)

    asyncio.run(whole())


def status_of(broker: Mosquitto) -> Status:
    return decode_message(retained(broker, STATUS), Status)


def test_a_sealed_batch_goes_live_with_its_key_and_is_settled_by_its_confirmation(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker) as cloud:
            async with heard(gateway, cloud):
                [first] = await gateway.seal()
                [second] = await gateway.seal()
                ledger = await gateway.settled()
            assert ledger.stored == 6
            one, two = cloud.keyed
            assert [one.key, two.key] == [first.key, second.key]
            assert one.leaf is two.leaf is Leaf.BATCH
            assert first.key.digest == digest(first.payload)
            assert (one.content_type, one.expiry_s) == (CONTENT_TYPE, 1)
            assert one.seal_ms == first.seal_ms < two.seal_ms

    run(configuration(tmp_path, broker), scenario)


def test_inventory_and_status_are_retained_and_the_goodbye_says_offline(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker) as cloud:
            async with heard(gateway, cloud):
                assert decode_message(
                    retained(broker, topic(NAME, Leaf.INVENTORY)), Inventory
                ) == Inventory(gateway=NAME, site="s", seal_interval_s=60)
                status = status_of(broker)
                assert status.online
                assert status.epoch == gateway.outbox.epoch.hex()
                assert status.ledger.balanced
            assert not status_of(broker).online

    run(configuration(tmp_path, broker), scenario)


def test_the_will_says_offline_and_keeps_what_a_restored_card_is_known_by(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        await gateway.seal()
        with FarSide(broker) as cloud, contextlib.suppress(ExceptionGroup):
            async with heard(gateway, cloud):
                raise LookupError  # a bug
        status = status_of(broker)
        assert (status.online, status.newest_sequence) == (False, 1)
        assert status.epoch == gateway.outbox.epoch.hex()

    run(configuration(tmp_path, broker), scenario)


def test_after_a_silence_a_snapshot_comes_first_and_what_is_new_overtakes_the_backlog(
    tmp_path, broker
):
    async def scenario(gateway: Running) -> None:
        for _ in range(30):
            await gateway.seal()
        with FarSide(broker) as cloud:
            async with drained(gateway):
                await until(lambda: cloud.batches)
                [new] = await gateway.seal()
                ledger = await gateway.settled()
        snapshot, *others = cloud.batches
        assert snapshot.key is None
        assert snapshot.leaf is Leaf.BATCH
        assert {line.split()[1] for line in snapshot.lines} == {
            f"distance_mm={88 + n}" for n in range(3)
        }
        live = [batch for batch in others if batch.leaf is Leaf.BATCH]
        assert [batch.key for batch in live] == [new.key]
        assert others.index(live[0]) < len(others) - 1
        late = [batch.key.sequence for batch in others if batch.leaf is Leaf.BACKFILL and batch.key]
        assert late == list(range(1, 31))
        assert ledger.stored == 93

    run(configuration(tmp_path, broker), scenario)


def test_a_broker_killed_and_restarted_empty_loses_nothing(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker, answer=ignore) as cloud:
            async with heard(gateway, cloud):
                await gateway.seal()
                await until(lambda: cloud.keyed)
                broker.kill()
                await gateway.seal()
                cloud.answer = confirm
                broker.start()
                await gateway.settled()
                await gateway.seal()
                ledger = await gateway.settled()
                assert status_of(broker).online
                assert retained(broker, topic(NAME, Leaf.INVENTORY))
        assert ledger.stored == 9
        assert set(cloud.copies.values()) <= {1, 2}

    run(configuration(tmp_path, broker), scenario)


def test_an_uplink_told_to_end_in_the_turn_its_link_is_lost_ends(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker) as cloud:
            async with asyncio.TaskGroup() as group:
                draining = group.create_task(gateway.uplink.drain())
                await until(lambda: cloud.statuses)
                [child] = [task for task in asyncio.all_tasks() if "Inbox.listen" in repr(task)]
                child.add_done_callback(lambda _: draining.cancel())
                broker.kill()
                done, _ = await asyncio.wait([draining], timeout=WAIT_S)
                draining.cancel()
            assert done == {draining}
            assert draining.cancelled()

    run(configuration(tmp_path, broker), scenario)


def test_when_nobody_listens_nothing_is_sent_but_questions_and_it_is_said(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker, listening=False) as cloud:
            async with heard(gateway, cloud):
                await gateway.seal()
                await until(lambda: "nobody_listens" in cloud.statuses[-1].alarms)
                await gateway.seal()
                cloud.listen()
                ledger = await gateway.settled()
                await until(lambda: cloud.statuses[-1].alarms == ())
        assert ledger.stored == 6
        assert set(cloud.copies.values()) == {1}
        assert cloud.batches[0].lines == []  # a question
        assert cloud.batches[1].key is None and cloud.batches[1].lines  # a snapshot

    run(configuration(tmp_path, broker), scenario)


def test_a_lost_confirmation_means_one_more_copy_after_the_first_is_dead(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker, answer=ignore) as cloud:
            async with heard(gateway, cloud):
                await gateway.seal()
                await until(lambda: cloud.keyed)
                began = asyncio.get_running_loop().time()
                await until(lambda: "no_answer" in cloud.statuses[-1].alarms)
                cloud.answer = confirm
                ledger = await gateway.settled()
                assert asyncio.get_running_loop().time() - began >= 0.9
                await until(lambda: cloud.statuses[-1].alarms == ())
        assert ledger.stored == 3
        assert all(copies >= 2 for copies in cloud.copies.values())

    run(configuration(tmp_path, broker), scenario)


def test_another_digest_settles_nothing_and_is_an_alarm(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker, answer=wrong_digest) as cloud:
            async with heard(gateway, cloud):
                await gateway.seal()
                await until(lambda: "cloned" in cloud.statuses[-1].alarms)
                assert (await gateway.sealing.ledger()).waiting == 3
                cloud.answer = confirm
                assert (await gateway.settled()).stored == 3

    run(configuration(tmp_path, broker, status_interval_s=1.0), scenario)


def test_a_seal_s_batch_takes_the_status_along_as_it_was_before_the_seal(tmp_path, broker):
    """Made afterwards, it would say each time that a batch waits which is on its way."""

    async def scenario(gateway: Running) -> None:
        with FarSide(broker) as cloud:
            async with heard(gateway, cloud):
                for _ in range(5):
                    await gateway.uplink.prepare()
                    await gateway.seal()
                    await gateway.settled()
                await until(lambda: {0, 1, 2, 3, 4} <= {s.newest_sequence for s in cloud.statuses})
        waited = [s.ledger.waiting for s in cloud.statuses if s.newest_sequence in (1, 2, 3, 4)]
        assert 0 in waited
        assert all(s.ledger.balanced for s in cloud.statuses)

    run(configuration(tmp_path, broker, status_interval_s=0.001), scenario)


def test_a_hold_lets_others_pass_and_the_batch_comes_again(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker, answer=hold(0.3)) as cloud:
            async with heard(gateway, cloud):
                for _ in range(6):
                    await gateway.seal()
                await until(lambda: len({batch.key for batch in cloud.keyed}) == 6)
                cloud.answer = confirm
                ledger = await gateway.settled()
        assert ledger.stored == 18

    run(configuration(tmp_path, broker, confirm_timeout_s=20.0), scenario)


def test_messages_that_are_not_what_their_topic_says_change_nothing(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        with FarSide(broker) as cloud:
            async with heard(gateway, cloud):
                for payload in (b"", b"{", b"[]", b'["AA==", [[1, "AA=="]]]', b"\xff" * 100):
                    cloud.publish(topic(NAME, Leaf.CONFIRM), payload)
                await gateway.seal()
                assert (await gateway.settled()).stored == 3

    run(configuration(tmp_path, broker), scenario)


def test_a_batch_that_the_broker_does_not_take_is_parked_and_the_others_pass(tmp_path):
    async def scenario(gateway: Running) -> None:
        with FarSide(small) as cloud:
            await gateway.seal(noise=secrets.token_hex(5000))
            async with heard(gateway, cloud):
                await gateway.seal()
                await until(lambda: len(cloud.keyed) == 1)
                await until(lambda: cloud.statuses[-1].parked == 1)
        ledger = await gateway.sealing.ledger()
        assert (ledger.stored, ledger.waiting) == (3, 3)

    with Mosquitto(tmp_path / "broker", config="max_packet_size 3000") as small:
        run(configuration(tmp_path, small, status_interval_s=1.0), scenario)


def test_an_outbox_behind_its_own_retained_status_goes_on_under_a_new_epoch(tmp_path, broker):
    async def scenario(gateway: Running) -> None:
        epoch = gateway.outbox.epoch
        later = Status(gateway=NAME, online=False, epoch=epoch.hex(), newest_sequence=1000)
        with FarSide(broker) as cloud:
            cloud.publish(STATUS, encode_message(later), retain=True)
            async with drained(gateway):
                await gateway.seal()
                ledger = await gateway.settled()
        assert ledger.stored == 3
        assert gateway.outbox.epoch != epoch
        assert {batch.key.epoch for batch in cloud.keyed if batch.key} == {gateway.outbox.epoch}

    run(configuration(tmp_path, broker), scenario)


def test_two_agents_with_one_card_are_noticed_and_part(tmp_path, broker):
    async def scenario() -> None:
        folders = tmp_path / "one", tmp_path / "two"
        settings = [configuration(folder, broker, status_interval_s=1.0) for folder in folders]
        async with running(settings[0]) as first:
            await first.seal()
        shutil.copytree(folders[0], folders[1])
        async with running(settings[0]) as first, running(settings[1]) as second:
            assert first.outbox.epoch == second.outbox.epoch
            with FarSide(broker) as cloud:
                async with drained(first), drained(second):
                    await until(lambda: "cloned" in first.uplink.alarms)
                    await until(lambda: "cloned" in second.uplink.alarms)
                    await until(lambda: first.outbox.epoch != second.outbox.epoch)
                    for gateway in (first, second):
                        await gateway.seal()
                        await gateway.settled()
                    await until(lambda: any("cloned" in s.alarms for s in cloud.statuses))

    asyncio.run(scenario())


def test_without_the_time_nothing_is_sent_and_the_cloud_can_tell_it(tmp_path, broker):
    async def scenario() -> None:
        settings = configuration(tmp_path, broker)
        async with running(settings, trusted=False) as gateway:
            with FarSide(broker) as cloud:
                async with heard(gateway, cloud):
                    assert cloud.statuses[-1].clock == "untrusted"
                    assert await gateway.seal() == []
                    cloud.tell_time(1_900_000_000_000)
                    ledger = await gateway.settled()
                    assert gateway.timekeeping.trusted
                    assert abs(gateway.timekeeping.clock.now_ms() - 1_900_000_000_000) < 60_000
            assert ledger.stored == 3
            times = [int(line.split()[-1]) for batch in cloud.keyed for line in batch.lines]
            assert all(abs(time_ms - 1_900_000_000_000) < 60_000 for time_ms in times)

    asyncio.run(scenario())
