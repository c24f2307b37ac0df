"""What a database, or a proxy before it, chokes on is isolated, kept with its reason, replayed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest
from aiohttp import web

from ingest.configuration import IngestConfiguration
from ingest.dead_letters import DeadLetters
from ingest.guard import Limits
from ingest.replay import Replayed, replay
from ingest.stores.configuration import InfluxSettings
from ingest.stores.open import open_store
from tests.ingest.batches import line, lines
from tests.ingest.gateway import Gateway, configuration, eventually, ingesting
from tests.ingest.test_ingestor import letters, now_ms
from tests.ingest.test_ingestor_live import count, database, settings_of
from tests.servers import Influxd, Mosquitto
from wire.clock import SystemClock

__all__ = ["database"]
pytestmark = pytest.mark.live
POISON = b"bay-poison"


class Proxy:
    """A reverse proxy before a real InfluxDB that answers some requests by itself."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self.status = 500
        self.refuses = True
        self.refused = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.refuses and POISON in body:
            self.refused += 1
            return web.Response(status=self.status, text='{"message":"the proxy chokes on this"}')
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self._behind + str(request.rel_url), data=body,
                headers={"Authorization": request.headers["Authorization"]},
            ) as answer,
        ):  # fmt: skip
            return web.Response(status=answer.status, body=await answer.read())


@asynccontextmanager
async def proxied(settings: InfluxSettings) -> AsyncIterator[tuple[InfluxSettings, Proxy]]:
    proxy = Proxy(settings.url)
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield msgspec.structs.replace(settings, url=f"http://{host}:{port}"), proxy
    finally:
        await runner.cleanup()


async def replayed(settings: IngestConfiguration) -> Replayed:
    clock = SystemClock()
    async with open_store(settings.store, clock) as store:
        return await replay(DeadLetters.of(settings.dead_letters), store, clock, Limits())


async def told(gateway: Gateway, content: list[str], sequence: int) -> dict[str, int]:
    """Send again after each hold, as gateways do, until the fate is final."""
    sends = 0

    def answered() -> bool:
        nonlocal sends
        if gateway.final(sequence) is None and sends <= len(gateway.held(sequence)):
            gateway.send(content, sequence)
            sends += 1
        return gateway.final(sequence) is not None

    await eventually(answered, f"batch {sequence} is settled")
    return (await gateway.fate(sequence)).rejected


def test_a_lone_poisoned_batch_is_told_from_an_outage_by_an_ingestor_that_has_stored_nothing(
    tmp_path, mosquitto: Mosquitto, database: Influxd
):
    behind = settings_of(tmp_path, database)

    async def main() -> None:
        async with proxied(behind) as (store, proxy):
            settings = configuration(tmp_path, mosquitto, store)
            async with ingesting(settings) as (ingestor, _), Gateway(mosquitto) as gateway:
                poison = line("bay-poison", now_ms())
                assert await told(gateway, [poison], 1) == {"server_error": 1}
                assert [each["line"] for each in letters(tmp_path)] == [poison]
                assert ingestor.counters.rejected == {"server_error": 1}
                assert ingestor.counters.store_away == 0
                gateway.send(lines(3, now_ms()), 2)
                assert (await gateway.fate(2)).stored == 3
            assert (await replayed(settings)).kept.startswith("server_error")
            proxy.refuses = False  # the fix
            assert await replayed(settings) == Replayed(1, {})
            assert count(database) == 4

    asyncio.run(main())


def test_one_poisoned_line_takes_no_neighbour_with_it(tmp_path, mosquitto, database):
    behind = settings_of(tmp_path, database)

    async def main() -> None:
        async with proxied(behind) as (store, _):
            settings = configuration(tmp_path, mosquitto, store)
            async with (
                ingesting(settings) as (ingestor, _),
                Gateway(mosquitto) as ill,
                Gateway(mosquitto) as well,
                asyncio.TaskGroup() as group,
            ):
                content = [*lines(30, now_ms()), line("bay-poison", now_ms()), *lines(30, now_ms())]
                rejected = group.create_task(told(ill, content, 1))
                for sequence in range(2, 22):
                    batch = lines(60, now_ms(), f"bay{sequence}")
                    assert await told(well, batch, sequence) == {}
                assert await rejected == {"server_error": 1}
                assert len(letters(tmp_path)) == 1
                assert ingestor.counters.store_away == 0

    asyncio.run(main())


def test_an_outage_of_the_whole_database_rejects_nothing(tmp_path, mosquitto, database):
    behind = settings_of(tmp_path, database)

    async def main() -> None:
        async with proxied(behind) as (store, proxy):
            settings = configuration(tmp_path, mosquitto, store)
            async with ingesting(settings) as (ingestor, _), Gateway(mosquitto) as gateway:
                gateway.send(lines(3, now_ms()), 1)
                assert (await gateway.fate(1)).stored == 3
                database.kill()
                gateway.send([line("bay-poison", now_ms())], 2)
                await eventually(lambda: gateway.held(2), "it is held")
                await eventually(lambda: ingestor.counters.store_away, "the store is given up")
                assert proxy.refused
                assert letters(tmp_path) == []
                assert gateway.final(2) is None

    asyncio.run(main())


def test_a_field_whose_type_was_changed_is_replayed_once_the_old_one_is_gone(
    tmp_path, mosquitto, database
):
    settings = configuration(tmp_path, mosquitto, settings_of(tmp_path, database))

    async def main() -> None:
        time_ms = now_ms()
        async with ingesting(settings) as (_, _), Gateway(mosquitto) as gateway:
            tags = f"device=bay-odd,gateway={gateway.name},site=pasar,zone=a"
            database.write(f"parking_spot,{tags} distance_mm=5i {time_ms - 1}", "city")
            odd = [line(f"bay-{n}", time_ms, distance_mm=182.5, occupied=1) for n in range(5)]
            gateway.send([*odd, *lines(5, time_ms)], 1)
            fate = await gateway.fate(1)
            assert (fate.stored, fate.rejected) == (5, {"type_conflict": 5})
            assert {each["reason"] for each in letters(tmp_path)} == {"type_conflict"}
        assert (await replayed(settings)).still_bad == {"type_conflict": 5}
        span = b'{"start":"1970-01-01T00:00:00Z","stop":"2100-01-01T00:00:00Z",'
        database.request(
            "POST",
            "/api/v2/delete",
            span + b'"predicate":"_measurement=\\"parking_spot\\""}',
            {"org": database.org, "bucket": "city"},
        )
        assert (await replayed(settings)).stored == 5
        assert len(database.query("SELECT distance_mm FROM parking_spot", "city")) == 5

    asyncio.run(main())
