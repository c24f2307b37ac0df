"""The API from outside, in a process of its own: what is told, in every format, and what isn't."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings, StoreSettings
from ingest.stores.kinds import HOUR_KINDS
from tests.dashboards.opendata.public_process import COMMAND, ROOT, Public, public, until
from tests.dashboards.opendata.published_models import REQUIRED
from tests.dashboards.opendata.test_opendata_entities import check
from tests.dashboards.small_city import bay, line, place, store_now, tags, whole_city
from tests.ingest.stores import databases
from tests.ingest.stores.databases import Database
from wire.clock import SystemClock

HOUR_MS = 3_600_000
CLOCK = SystemClock()


def hours(now_ms: int, count: int = 30, bays: int = 3) -> list[str]:
    """The bays' and a corner's last whole hours, as the watch writes them."""
    first_ms = now_ms // HOUR_MS * HOUR_MS - count * HOUR_MS
    lines = []
    for nth in range(count):
        for number in range(1, bays + 1):
            own = ",".join(f"{k}={v}" for k, v in sorted(tags(f"bay-{number:02d}").items()))
            fields = f"occupied_mean={number / 4},occupied_min=0,occupied_max=1,occupied_count=6i"
            lines.append(f"parking_spot,{own} {fields} {first_ms + nth * HOUR_MS}")
        own = ",".join(f"{k}={v}" for k, v in sorted(tags("wifi-01").items()))
        fields = "clients_mean=2.4,clients_min=1,clients_max=12,clients_count=60i"
        lines.append(f"wifi_access_point,{own} {fields} {first_ms + nth * HOUR_MS}")
    return lines


@pytest.fixture(params=["sqlite", pytest.param("influxdb2", marks=pytest.mark.live)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    """The small city and a day of its hours, in either database."""
    database: Database
    if request.param == "sqlite":
        database = Database(SqliteSettings(path=str(tmp_path / "city.db")))
    else:
        database = databases.influx(request.getfixturevalue("influxd"), tmp_path)
    now_ms = CLOCK.now_ms()

    async def fill(open_: Any) -> None:
        city = whole_city(now_ms)
        health = [line(one) for one in city if one.kind.startswith(("device_", "gateway_"))]
        told = [line(one) for one in city if not one.kind.startswith(("device_", "gateway_"))]
        batches = [line(one) for one in city if one.kind == "gateway_batch"]
        health = [one for one in health if one not in batches]
        assert await open_.write(Bucket.HEALTH, health) == Written()
        assert await open_.write(Bucket.CITY, [*told, *batches]) == Written()
        assert await open_.write(Bucket.HOURLY, hours(now_ms)) == Written()

    database.run(fill)
    return database.settings


@pytest.fixture
def city(store: StoreSettings, tmp_path: Path):
    with public(store, tmp_path) as running:
        yield running


def by_name(running: Public, path: str = "/api/v1/state") -> dict[str, dict[str, Any]]:
    return {device["device"]: device for device in running.get(path).json["devices"]}


def test_the_state_is_the_citys_without_gateways_and_with_people_in_steps(city):
    answer = city.get("/api/v1/state")
    assert answer.status == 200
    assert answer.json["licence"] == "CC-BY-4.0"
    states = {name: device["state"] for name, device in by_name(city).items()}
    assert states == {
        "bay-01": "occupied", "bay-02": "free", "bay-03": "occupied", "bay-04": "free",
        "bin-01": "ok", "bin-02": "full", "bin-03": "burning",
        "wifi-01": "up", "wifi-02": "portal_down",
    }  # fmt: skip
    assert by_name(city)["wifi-01"]["fields"]["clients"] == 10  # of 12
    assert by_name(city)["bin-02"]["fields"] == {"filling_level": 0.92, "status": "ok"}
    for path in ("/api/v1/state", "/api/v1/zones", "/api/v1/entities?type=AccessPoint", "/"):
        assert "mahirah-01" not in city.get(path).text


def test_every_format_says_the_same(city):
    told = by_name(city)
    rows = list(csv.DictReader(io.StringIO(city.get("/api/v1/state?format=csv").text)))
    assert {row["device"]: row["state"] for row in rows} == {
        name: device["state"] for name, device in told.items()
    }
    assert next(row for row in rows if row["device"] == "bin-02")["filling_level"] == "0.92"
    answer = city.get("/api/v1/state?format=geojson")
    assert answer.headers["content-type"] == "application/geo+json"
    features = {one["properties"]["device"]: one for one in answer.json["features"]}
    assert features.keys() == told.keys()
    bay = told["bay-01"]
    assert features["bay-01"]["geometry"] == {
        "type": "Point",
        "coordinates": [bay["longitude"], bay["latitude"]],
    }


def test_zones_count_what_their_devices_show(city):
    zones = {(zone["kind"], zone["site"]): zone for zone in city.get("/api/v1/zones").json["zones"]}
    mahirah = zones["parking_spot", "pasar-mahirah"]
    assert (mahirah["devices"], mahirah["number"]) == (2, 0)
    assert mahirah["states"] == {"free": 0, "occupied": 2, "closed": 0, "unknown": 0}
    inpres = zones["waste_container", "pasar-inpres"]
    assert (inpres["number"], inpres["filling_level"]) == (1, 0.92)
    assert city.get("/api/v1/zones?format=csv").text.startswith("kind,site,zone,latitude")
    features = city.get("/api/v1/zones?format=geojson").json["features"]
    assert len(features) == len(zones)


def test_pages_bring_every_device_once(city):
    path, seen = "/api/v1/state?limit=2", []
    while path:
        answer = city.get(path).json
        seen += [device["device"] for device in answer["devices"]]
        path = answer["next"]
    assert seen == sorted(by_name(city))


def test_history_brings_every_hour_once_in_pages_of_whole_moments(city):
    path = "/api/v1/history/parking_spot?step=hour&limit=7"
    begin, end = (CLOCK.now_ms() // HOUR_MS - 30) * HOUR_MS, CLOCK.now_ms()
    path += f"&start={iso(begin)}&stop={iso(end)}"
    rows = []
    while path:
        answer = city.get(path)
        assert answer.status == 200
        moments = {row["time"] for row in answer.json["rows"]}
        assert len(answer.json["rows"]) == 3 * len(moments) <= 7
        rows += answer.json["rows"]
        path = answer.json["next"]
    assert len(rows) == len({(row["time"], row["device"]) for row in rows}) == 90
    assert {row["fields"]["occupied_mean"] for row in rows} == {0.25, 0.5, 0.75}


def iso(time_ms: int) -> str:
    from dashboards.opendata.records import utc

    return str(utc(time_ms))


def test_history_is_told_of_readings_and_people_in_steps(city):
    rows = city.get("/api/v1/history/waste_container?step=reading&device=bin-02").json["rows"]
    assert [row["fields"] for row in rows] == [{"filling_level": 0.92, "status": "ok"}]
    table = city.get("/api/v1/history/wifi_access_point?format=csv").text
    last = list(csv.DictReader(io.StringIO(table)))[-1]
    assert (last["clients_mean"], last["clients_min"], last["clients_max"]) == ("0", "0", "10")
    places = city.get("/api/v1/history/parking_spot?format=geojson&limit=3").json["features"]
    assert all(one["geometry"]["type"] == "Point" for one in places)


@pytest.mark.parametrize("type_", sorted(REQUIRED))
def test_entities_keep_to_the_published_models(city, type_):
    answer = city.get(f"/api/v1/entities?type={type_}")
    assert answer.headers["content-type"] == "application/ld+json"
    assert len(answer.json) == {"WasteContainer": 3, "ParkingSpot": 4}.get(type_, 2)
    for entity in answer.json:
        check(entity)
        assert city.get(f"/api/v1/entities/{entity['id']}").json == entity


def test_who_has_the_state_already_is_told_so(city):
    for path in (
        "/api/v1/state",
        "/api/v1/history/parking_spot?stop=2026-01-01T00:00:00Z",
        "/live",
    ):
        first = city.get(path)
        again = city.get(path, If_None_Match=first.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        assert city.get(path, If_None_Match='"another"').status == 200


def test_the_state_follows_the_store(tmp_path):
    now_ms = CLOCK.now_ms()
    store_now(tmp_path / "city.db", whole_city(now_ms))
    with public(tmp_path / "city.db", tmp_path) as running:
        before = running.get("/api/v1/state/bay-02")
        assert before.json["device"]["state"] == "free"
        store_now(tmp_path / "city.db", [bay("bay-02", now_ms + 1000, 1)])
        until(lambda: by_name(running)["bay-02"]["state"] == "occupied")
        after = running.get("/api/v1/state/bay-02", If_None_Match=before.headers["etag"])
        assert after.status == 200


BAD = [
    "/api/v1/state?kind=castle",
    "/api/v1/state?limit=0",
    "/api/v1/state?limit=100000000000000000000000000000",
    "/api/v1/state?limit=ten",
    "/api/v1/state?limit=%2B5",
    "/api/v1/state?limit=5.0",
    "/api/v1/entities?type=ParkingSpot&offset=1_0",
    "/api/v1/state?colour=red",
    "/api/v1/state?site=../../etc/passwd",
    "/api/v1/state?site=%00",
    "/api/v1/state?format=xml",
    "/api/v1/state/Bay'--",
    "/api/v1/zones?kind=%F0%9F%92%A9",
    "/api/v1/history/castle",
    "/api/v1/history/parking_spot?start=yesterday",
    "/api/v1/history/parking_spot?start=2026-02-31T00:00:00Z",
    "/api/v1/history/parking_spot?start=2026-08-01T00:00:00Z&stop=2026-07-01T00:00:00Z",
    "/api/v1/history/parking_spot?start=2026-01-01T00:00:00Z&stop=2026-08-01T00:00:00Z",
    "/api/v1/history/parking_spot?step=reading",
    "/api/v1/history/parking_spot?step=second",
    "/api/v1/history/parking_spot?device=x%27%20OR%201=1",
    "/api/v1/entities",
    "/api/v1/entities?type=Castle",
    "/api/v1/entities?type=ParkingSpot&offset=-1",
    "/api/v1/entities/urn:ngsi-ld:ParkingSpot:%22",
    "/api/v1?x=1",
]


def test_every_bad_parameter_is_refused_in_words_without_a_trace(tmp_path):
    store_now(tmp_path / "city.db", whole_city(CLOCK.now_ms()))
    with public(tmp_path / "city.db", tmp_path) as running:
        for path in BAD:
            answer = running.get(path)
            assert answer.status == 422, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json["detail"]
            assert len(answer.body) < 400
            for leak in ("Traceback", ".py", "passwd", "OR 1=1"):
                assert leak not in answer.text
        for path in ("/nowhere", "/api/v1/state/bay-99", "/assets/../server.py", "/docs",
                     "/api/v1/entities/urn:ngsi-ld:Castle:x",
                     "/api/v1/history/energy_meter"):  # fmt: skip
            assert running.get(path).status == 404, path
        assert running.get(f"/api/v1/state?site={'x' * 3000}").status == 414
        assert running.get("/api/v1/state").status == 200


def test_every_answer_has_its_headers(city):
    for path in ("/", "/live", "/api/v1/state", "/nowhere", "/assets/public.js", "/openapi.json"):
        headers = city.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert city.get("/api/v1/state").headers["access-control-allow-origin"] == "*"


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path):
    store_now(tmp_path / "city.db", whole_city(CLOCK.now_ms()))
    head = 'requests_a_minute = 1\nburst = 20\ntrusted_proxies = ["127.0.0.1"]\n'
    with public(tmp_path / "city.db", tmp_path, head) as running:
        one = {"X_Forwarded_For": "198.51.100.7"}
        statuses = [running.get("/api/v1/zones", **one).status for _ in range(21)]
        assert statuses == [200] * 20 + [429]
        answer = running.get("/api/v1/history/parking_spot", **one)
        assert answer.status == 429
        assert 500 < int(answer.headers["retry-after"]) <= 600
        assert "content-security-policy" in answer.headers
        assert running.get("/api/v1/zones", X_Forwarded_For="198.51.100.8").status == 200


def test_a_store_that_goes_away_leaves_the_last_state_and_comes_back_by_itself(tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    store_now(folder / "city.db", whole_city(CLOCK.now_ms()))
    with public(folder / "city.db", tmp_path) as running:
        known = by_name(running)
        folder.rename(tmp_path / "gone")
        until(lambda: running.get("/api/v1/state").status == 503)
        answer = running.get("/api/v1/state")
        assert answer.json["store"]["away"] is True
        assert answer.json["store"]["age_s"] >= 0
        assert answer.headers["retry-after"]
        assert {one["device"]: one for one in answer.json["devices"]} == known
        assert "Basis data tidak menjawab" in running.get("/").text
        assert running.get("/api/v1/history/parking_spot").status == 503
        assert running.get("/healthz").status == 503
        (tmp_path / "gone").rename(folder)
        until(lambda: running.get("/api/v1/state").status == 200)
        assert running.get("/api/v1/history/parking_spot").status == 200


def test_an_empty_database_has_no_data_yet(tmp_path):
    store_now(tmp_path / "city.db", [])
    with public(tmp_path / "city.db", tmp_path) as running:
        assert running.get("/api/v1/state").json["devices"] == []
        assert running.get("/api/v1/history/parking_spot").json["rows"] == []
        assert running.get("/api/v1/entities?type=ParkingSpot").json == []
        assert "Belum ada data" in running.get("/").text
        assert "No data yet" in running.get("/?lang=en").text


def test_what_has_expired_is_unknown_and_its_number_is_not_told(tmp_path):
    now_ms = CLOCK.now_ms()
    store_now(tmp_path / "city.db", whole_city(now_ms - 2 * HOUR_MS))
    with public(tmp_path / "city.db", tmp_path) as running:
        # What still counts is looked up first; when the expired was said comes right after.
        until(lambda: all(device["time"] for device in by_name(running).values()))
        told = by_name(running)
        assert {device["state"] for device in told.values()} == {"unknown"}
        assert all(device["fields"] == {} for device in told.values())
        zones = running.get("/api/v1/zones").json["zones"]
        assert {zone["number"] for zone in zones} == {None}


def test_a_zone_of_closed_and_silent_bays_does_not_say_that_none_is_free(tmp_path):
    now_ms = CLOCK.now_ms()
    silent = place("bay-01", "parking_spot", now_ms)
    closed = place("bay-02", "parking_spot", now_ms, maintenance=1)
    store_now(tmp_path / "city.db", [silent, closed])
    with public(tmp_path / "city.db", tmp_path) as running:
        (zone,) = running.get("/api/v1/zones").json["zones"]
        assert (zone["number"], zone["states"]["unknown"]) == (None, 1)
        assert "<b>?</b>" in running.get("/").text
    store_now(tmp_path / "city.db", [place("bay-01", "parking_spot", now_ms + 1, maintenance=1)])
    with public(tmp_path / "city.db", tmp_path) as running:
        assert running.get("/api/v1/zones").json["zones"][0]["number"] == 0


def test_text_from_outside_never_becomes_markup(tmp_path):
    store_now(tmp_path / "city.db", whole_city(CLOCK.now_ms()))
    head = 'publisher = "<script>alert(1)</script>"\n'
    with public(tmp_path / "city.db", tmp_path, head) as running:
        for path in ("/", "/?lang=%3Cscript%3Ealert(1)", "/live?lang=%22%3E%3Cb%3E"):
            page = running.get(path).text
            assert "<script>alert" not in page
            assert '<b>"' not in page
        assert "&lt;script&gt;" in running.get("/").text


def test_the_description_names_every_address(city):
    paths = city.get("/openapi.json").json["paths"]
    assert sorted(paths) == [
        "/api/v1", "/api/v1/entities", "/api/v1/entities/{entity}", "/api/v1/history/{kind}",
        "/api/v1/state", "/api/v1/state/{device}", "/api/v1/zones",
    ]  # fmt: skip
    assert all(list(methods) == ["get"] for methods in paths.values())


def test_a_signal_ends_it(tmp_path):
    store_now(tmp_path / "city.db", [])
    for number in (signal.SIGTERM, signal.SIGINT):
        with pytest.raises(AssertionError), public(tmp_path / "city.db", tmp_path) as running:
            running.process.send_signal(number)
            assert running.process.wait(30) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kinds = ["castle"]', "kinds: 'castle' isn't one"),
        ("people_step = 1", "people_step: 1. Choose 2 to 100"),
        ('licence_url = "javascript:alert(1)"', "licence_url: "),
        ('trusted_proxies = ["proxy"]', "trusted_proxies: "),
        ('time_zone = "Mars"', "time_zone: "),
        ("colour = 1", "colour"),
    ],
)
def test_a_configuration_names_the_key_that_is_wrong(tmp_path, text, said):
    file = tmp_path / "opendata.toml"
    file.write_text(f'{text}\n[store]\ntype = "sqlite"\npath = "x.db"\n')
    ended = subprocess.run(
        [*COMMAND, "--config", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert str(file) in ended.stderr
    assert said in ended.stderr


def test_hours_in_the_test_are_of_kinds_that_exist():
    assert {"occupied_mean", "occupied_count"} <= HOUR_KINDS["parking_spot"].fields.keys()
    assert json.dumps(hours(CLOCK.now_ms(), 1))


def test_a_monitor_that_asks_with_head_gets_the_head(city):
    for path in ("/", "/live", "/healthz"):
        asked = Request(city.address + path, method="HEAD")
        with urlopen(asked, timeout=20) as answer:
            assert (answer.status, answer.read()) == (200, b"")
            assert int(answer.headers["Content-Length"]) > 0
