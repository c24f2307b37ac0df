"""A real InfluxDB 2: killed and started again, refusing a token, and set up by our own command."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import stat
import urllib.error
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingest.stores import Bucket, Kept, StoreError, Written
from ingest.stores.configuration import InfluxSettings, Retention
from ingest.stores.influx2_answers import Refused, judge
from ingest.stores.onboarding import SetupRequest, Step
from ingest.stores.open import open_store, setup
from tests.ingest.stores import databases
from tests.ingest.stores.databases import CLOCK, DAY_MS, NOW_MS, Database, line, query, write
from tests.secret_file import write_secret
from tests.servers import Influxd

pytestmark = pytest.mark.live

DAYS_S = 86_400


def test_what_was_answered_204_is_there_after_sigkill(tmp_path, seed):
    rng = random.Random(seed)
    with Influxd(tmp_path / "influxd") as server:
        database = databases.influx(server, tmp_path)

        async def use(store):
            told = 0
            for _ in range(3):
                for _ in range(rng.randint(1, 8)):
                    lines = [line("bay-1", NOW_MS + told + i) for i in range(rng.randint(1, 700))]
                    assert await store.write(Bucket.CITY, lines) == Written()
                    told += len(lines)
                server.kill()
                fate = await store.write(Bucket.CITY, [line()])
                assert isinstance(fate, Kept)
                assert fate.reason == "away"
                assert isinstance(await store.probe(), Kept)
                with pytest.raises(StoreError, match="is away"):
                    await store.read(query())
                await asyncio.to_thread(server.start)
                assert await store.probe() is None
                assert len(await store.read(query())) == told

        database.run(use)


def test_a_stopped_database_keeps_the_lines_until_it_goes_on(tmp_path):
    with Influxd(tmp_path / "influxd") as server:
        database = databases.influx(server, tmp_path)
        settings = msgspec.structs.replace(database.settings, timeout_s=0.3)

        async def use(store):
            os.kill(server.pid, signal.SIGSTOP)  # connected, silent
            fate = await store.write(Bucket.CITY, [line()])
            assert isinstance(fate, Kept)
            assert fate.reason == "timeout"
            os.kill(server.pid, signal.SIGCONT)
            while await store.write(Bucket.CITY, [line()]) != Written():
                pass
            assert len(await store.read(query())) == 1

        Database(settings).run(use)


def test_a_wrong_token_keeps_the_lines_and_says_so(influxd, tmp_path):
    database = databases.influx(influxd, tmp_path)
    write_secret(tmp_path / "token", "wrong")

    async def use(store):
        for fate in (await store.write(Bucket.CITY, [line()]), await store.probe()):
            assert isinstance(fate, Kept)
            assert fate.reason == "unauthorized"
        with pytest.raises(StoreError, match="token"):
            await store.read(query())
        (tmp_path / "token").write_text(influxd.token)
        await store.probe()
        assert await store.write(Bucket.CITY, [line()]) == Written()

    database.run(use)


@pytest.mark.parametrize("change", [{"org": "nobody"}, {"buckets": "missing"}])
def test_a_missing_bucket_or_organisation_keeps_the_lines(influxd, tmp_path, change):
    database = databases.influx(influxd, tmp_path)
    assert isinstance(database.settings, InfluxSettings)
    if "buckets" in change:
        change = {"buckets": msgspec.structs.replace(database.settings.buckets, city="missing")}

    async def use(store):
        for fate in (await store.write(Bucket.CITY, [line()]), await store.probe()):
            assert isinstance(fate, Kept)
            assert fate.reason == "not_found"

    Database(msgspec.structs.replace(database.settings, **change)).run(use)


def test_gzip_is_understood(influxd, tmp_path):
    settings = databases.influx(influxd, tmp_path).settings

    async def use(store):
        lines = [line(f"bay-{i}") for i in range(5000)]
        lines[77] += "x"
        assert await store.write(Bucket.CITY, lines) == Written({77: "grammar"})
        assert len(await store.read(query())) == 4999

    Database(msgspec.structs.replace(settings, gzip=True)).run(use)


def test_the_count_of_dropped_lines_is_too_low_when_a_conflict_hides_retention(influxd, tmp_path):
    """Why a line is judged alone: if this ever fails, InfluxDB counts better than it did."""
    settings = databases.influx(influxd, tmp_path).settings
    assert isinstance(settings, InfluxSettings)
    bucket = settings.buckets.city
    influxd.write(line(fields={"occupied": 1}), bucket)
    bad = [line("bay-2", fields={"occupied": 0.5}), line("bay-3", NOW_MS - 200 * DAY_MS)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        influxd.write("\n".join(bad), bucket)
    body = refused.value.read()
    assert refused.value.code == 422
    assert judge(422, {}, body) == Refused("type_conflict", 1)  # type: ignore[arg-type]


class Fresh:
    """A database nobody has set up, and the files that set-up writes."""

    def __init__(self, server: Influxd, folder: Path) -> None:
        self.server = server
        self.request = SetupRequest(
            admin_token_file=folder / "admin",
            write_token_file=folder / "write",
            read_token_file=folder / "read",
            onboard="admin",
        )
        self.settings = InfluxSettings(url=server.url, org="kota", token_file=str(folder / "write"))

    def setup(self, **changes: object) -> dict[str, Step]:
        settings = msgspec.structs.replace(self.settings, **changes)
        steps = asyncio.run(setup(settings, self.request, CLOCK))
        return {step.what: step for step in steps}

    def get(
        self, path: str, token_file: str = "admin_token_file"
    ) -> dict[str, list[dict[str, Any]]]:
        self.server.token = getattr(self.request, token_file).read_text().strip()
        answer: dict[str, list[dict[str, Any]]] = json.loads(self.server.request("GET", path))
        return answer


@pytest.fixture
def fresh(tmp_path):
    class Bare(Influxd):
        def start(self) -> None:
            super(Influxd, self).start()

    with Bare(tmp_path / "influxd") as server:
        yield Fresh(server, tmp_path)


NAMES = [bucket.value for bucket in Bucket]


def test_setup_takes_a_fresh_database_over_and_again_changes_nothing(fresh):
    first = fresh.setup()
    assert first["database"].outcome == "made"
    assert {first[f"mapping {name}"].outcome for name in NAMES} == {"made"}
    assert [first[f"{name} token"].outcome for name in ("write", "read")] == ["made", "made"]
    buckets = {b["name"]: b for b in fresh.get("/api/v2/buckets")["buckets"]}
    kept = {name: buckets[name]["retentionRules"][0]["everySeconds"] for name in NAMES}
    assert kept == {"city": 90 * DAYS_S, "city_hourly": 1830 * DAYS_S, "city_health": 7 * DAYS_S}
    asked = fresh.request
    files = (asked.admin_token_file, asked.write_token_file, asked.read_token_file)
    before = [file.read_text() for file in files]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    tokens = len(fresh.get("/api/v2/authorizations")["authorizations"])
    for _ in range(2):
        assert {step.outcome for step in fresh.setup().values()} == {"ready"}
    assert [file.read_text() for file in files] == before
    assert len(fresh.get("/api/v2/authorizations")["authorizations"]) == tokens == 3


def test_the_tokens_do_what_they_are_for_and_no_more(fresh):
    fresh.setup()
    for name in ("write", "read"):
        seen = fresh.get("/api/v2/buckets", f"{name}_token_file")["buckets"]
        assert sorted(bucket["name"] for bucket in seen) == sorted(NAMES)
        for secret in ("authorizations", "users"):
            assert fresh.get(f"/api/v2/{secret}", f"{name}_token_file")[secret] == []

    async def use():
        async with open_store(fresh.settings, CLOCK) as writer:
            for bucket in Bucket:
                field = "occupied_count" if bucket is Bucket.HOURLY else "occupied"
                await write(writer, line(fields={field: 1}), bucket=bucket)
        pages = msgspec.structs.replace(
            fresh.settings, token_file=str(fresh.request.read_token_file)
        )
        async with open_store(pages, CLOCK) as reader:
            assert len(await reader.read(query())) == 1
            fate = await reader.write(Bucket.CITY, [line("bay-2")])
            assert isinstance(fate, Kept)
            assert fate.reason == "unauthorized"

    asyncio.run(use())


def test_setup_mends_what_is_missing(fresh):
    fresh.setup()
    fresh.request.read_token_file.unlink()
    fresh.request.write_token_file.write_text("no longer one")
    steps = fresh.setup()
    assert [steps[f"{name} token"].outcome for name in ("write", "read")] == ["made", "made"]
    fresh.request.read_token_file.write_text(fresh.request.write_token_file.read_text())
    step = fresh.setup()["read token"]
    assert step.outcome == "made"
    assert "too much for a reading token" in step.detail
    assert {step.outcome for step in fresh.setup().values()} == {"ready"}


def test_setup_makes_retention_longer_and_never_shorter(fresh):
    fresh.setup()
    longer, shorter = Retention(city=120), Retention(city=10)
    assert fresh.setup(retention=longer)["bucket city"].outcome == "changed"
    step = fresh.setup(retention=shorter)["bucket city"]
    assert (step.outcome, step.detail.startswith("keeps 120 days, more than")) == ("ready", True)


def test_setup_says_what_is_missing_and_what_to_do(fresh):
    def fails(match, request=None, **changes):
        settings = msgspec.structs.replace(fresh.settings, **changes)
        with pytest.raises(StoreError, match=match):
            asyncio.run(setup(settings, request or fresh.request, CLOCK))

    fails("--onboard", msgspec.structs.replace(fresh.request, onboard=""))
    password = fresh.request.admin_token_file.with_name("password")
    fails("password", msgspec.structs.replace(fresh.request, onboard_password_file=password))
    write_secret(password, "short")
    fails("under 8", msgspec.structs.replace(fresh.request, onboard_password_file=password))
    password.write_text("long enough\n")
    fresh.request = msgspec.structs.replace(fresh.request, onboard_password_file=password)
    fresh.setup()
    fails("organisation 'desa'", org="desa")
    fails("is away", url="http://127.0.0.1:1")
    same = msgspec.structs.replace(fresh.request, read_token_file=fresh.request.write_token_file)
    fails("two tokens in one file", same)
    admin = fresh.request.admin_token_file.read_text()
    fresh.request.admin_token_file.write_text("wrong")
    fails("administrator's")
    fresh.request.admin_token_file.write_text(fresh.request.read_token_file.read_text())
    fails("organisation|administrator's")
    fresh.request.admin_token_file.unlink()
    fails("can't read the token")
    write_secret(fresh.request.admin_token_file, admin)
    assert {step.outcome for step in fresh.setup().values()} == {"ready"}
