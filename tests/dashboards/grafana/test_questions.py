"""Every panel's question, on real InfluxDB 2 over a simulated week: the answer is the truth."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.queries_city import make_buckets
from dashboards.grafana.ask import SOURCES
from dashboards.grafana.boards import BOARDS
from dashboards.grafana.checks import targets
from dashboards.grafana.questions import Screen, expand
from gampong.cli import main
from ingest.stores import Bucket, Written
from ingest.stores.configuration import InfluxSettings
from ingest.stores.open import open_store
from tests.dashboards.grafana.built import whole
from tests.dashboards.grafana.expected import EXPECTED, Answer, Cell, span
from tests.dashboards.grafana.week import DAY_MS, HOUR_MS, MINUTE_MS, Week, close
from tests.secret_file import write_secret
from tests.servers import Influxd
from wire.clock import SystemClock

pytestmark = pytest.mark.live

LINES = 5_000
DATABASES = {uid: bucket.value for bucket, uid in SOURCES.items()}
CASES = [(uid, place) for uid, panels in EXPECTED.items() for place in range(len(panels))]
NAMES = [f"{uid}-{EXPECTED[uid][place][0]}-{place}" for uid, place in CASES]


class Filled:
    """The database with the week in it."""

    def __init__(self, server: Influxd, week: Week, folder: Path) -> None:
        self.server, self.week, self.folder = server, week, folder

    def rows(self, target: dict[str, Any], screen: Screen) -> Answer:
        """The answer as the truth is written."""
        text = expand(target["query"], screen)
        query = {"db": DATABASES[target["datasource"]["uid"]], "q": text, "epoch": "ms"}
        (result,) = json.loads(self.server.request("GET", "/query", query=query))["results"]
        assert "error" not in result, f"{result}: {text}"
        found: Answer = {}
        for series in result.get("series", ()):
            key = tuple(series.get("tags", {}).values())
            for values in series["values"]:
                row = dict(zip(series["columns"], values, strict=True))
                time_ms = row.pop("time")
                found[key, 0 if target["resultFormat"] == "table" else time_ms] = row
        return found


async def fill(settings: InfluxSettings, lines: dict[Bucket, list[str]]) -> None:
    async with open_store(settings, SystemClock()) as store:
        for bucket, own in lines.items():
            for start in range(0, len(own), LINES):
                fate = await store.write(bucket, own[start : start + LINES])
                assert fate == Written(), fate


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, request: Any) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("week")
    seed = request.config.option.seed
    with Influxd(folder / "influxd") as server:
        week = Week(seed, time.time_ns() // 1_000_000)
        asyncio.run(fill(make_buckets(server, folder), week.lines()))
        yield Filled(server, week, folder)
    shutil.rmtree(folder / "influxd")


def screen_of(week: Week, panel: dict[str, Any]) -> Screen:
    start_ms, stop_ms = span(week)
    return Screen(start_ms, stop_ms, panel.get("interval") or "5m")


def panels_of(uid: str) -> list[dict[str, Any]]:
    panels: Any = whole().dashboards[uid]["panels"]
    return [panel for panel in panels if panel["type"] != "row"]


def test_every_panel_has_its_truth() -> None:
    for board in BOARDS:
        titles = [panel["title"] for panel in panels_of(board.uid)]
        assert titles == [title for title, _ in EXPECTED[board.uid]]
        counts = [len(panel["targets"]) for panel in panels_of(board.uid)]
        assert counts == [len(truths) for _, truths in EXPECTED[board.uid]]


@pytest.mark.parametrize(("uid", "place"), CASES, ids=NAMES)
def test_a_panel_shows_the_truth(filled: Filled, uid: str, place: int) -> None:
    panel, (_, truths) = panels_of(uid)[place], EXPECTED[uid][place]
    for target, truth in zip(panel["targets"], truths, strict=True):
        _compare(filled.rows(target, screen_of(filled.week, panel)), truth(filled.week))


def _compare(answer: Answer, truth: Answer) -> None:
    assert truth, "nothing was expected: the week is too tame"
    assert answer.keys() == truth.keys()
    for key, row in answer.items():
        for column, value in row.items():
            assert _same(value, truth[key][column]), (key, column, value, truth[key][column])


def _same(value: Cell, expected: Cell) -> bool:
    if isinstance(value, str) or isinstance(expected, str) or value is None or expected is None:
        return value == expected
    return close(value, expected)


def test_one_zone_of_one_site_is_shown_alone(filled: Filled) -> None:
    device = filled.week.devices[0]
    chosen: dict[str, tuple[str, ...]] = {"site": (device.site,), "zone": (device.zone,)}
    screen = Screen(*span(filled.week), "1m", chosen)
    (row,) = filled.rows(panels_of("gampong-parking")[0]["targets"][0], screen).values()
    for state, value in row.items():
        week = filled.week
        place = {"site": device.site, "zone": device.zone}
        assert value == week.count(device.kind, state, week.now_ms, **place)


@pytest.mark.parametrize("odd", ["nowhere", "a'b", 'x"y', "a/b", "(.*", "pasar [1]", "\\", "ü 🏘"])
def test_an_unknown_site_or_odd_characters_give_nothing_and_no_error(
    filled: Filled, odd: str
) -> None:
    screen = Screen(*span(filled.week), "1h", {"site": (odd,), "zone": (odd,)})
    about_sites = 0
    for dashboard in whole().dashboards.values():
        for _, target in targets(dashboard):
            if "${site" in target["query"]:
                about_sites += 1
                assert filled.rows({"resultFormat": "table", **target}, screen) == {}
    assert about_sites > 50


def test_a_watch_that_has_been_silent_leaves_numbers_empty_not_old(filled: Filled) -> None:
    later = filled.week.now_ms + 10 * MINUTE_MS
    screen = Screen(later - DAY_MS, later, "1m")
    for panel in panels_of("gampong-city")[:6]:
        for target in panel["targets"]:
            assert filled.rows(target, screen) == {}


def test_an_hour_gone_by_is_shown_as_it_was(filled: Filled) -> None:
    then = filled.week.now_ms - 5 * HOUR_MS
    target = panels_of("gampong-parking")[0]["targets"][0]
    (row,) = filled.rows(target, Screen(then - DAY_MS, then, "1m")).values()
    for state, value in row.items():
        assert value == filled.week.count("parking_spot", state, then)


def test_annotations_tell_alerts_and_the_gateway_that_came_back(filled: Filled) -> None:
    week = filled.week
    dashboard: Any = whole().dashboards["gampong-city"]
    alerts, back = (one for _, one in list(targets(dashboard))[-2:])
    screen = Screen(week.now_ms - 34 * HOUR_MS, week.now_ms, "1m")
    told = filled.rows({"resultFormat": "time_series", **alerts}, screen)
    assert [row["rule"] for row in told.values()] == ["gateway_offline", "bin_burning", "bin_full"]
    returned = filled.rows({"resultFormat": "time_series", **back}, screen)
    ((_, back_ms),) = returned
    assert back_ms == week.now_ms - 28 * HOUR_MS
    assert next(iter(returned.values()))["device"] == week.gateways[1]


def test_grafanas_rules_read_what_the_watch_judged(filled: Filled) -> None:
    """What has cleared is 0 for a while, and doesn't just vanish."""
    for rule in (rule for rules in whole().groups.values() for rule in rules):
        data: Any = rule["data"]
        for asked in (each["model"] for each in data if "query" in each["model"]):
            now_ms = filled.week.now_ms
            screen = Screen(now_ms - 300_000, now_ms, "1m")
            levels = filled.rows({**asked, "resultFormat": "table"}, screen)
            told = {key[0][0]: next(iter(row.values())) for key, row in levels.items() if key[0]}
            if asked["refId"] != "A":
                continue
            if rule["uid"] == "gampong-bin-full":
                assert told == {"bin-03": 3}
            elif rule["uid"] == "gampong-bay-silent":
                assert told == {"bay-09": 0}


def test_check_asks_the_database_and_says_what_it_lacks(
    filled: Filled, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["dashboards", "check", "--influx-url", filled.server.url]
    words += ["--token-file", str(filled.folder / "token")]
    assert main(words) == 0, capsys.readouterr().out
    assert main([*words, "--site", "pasar-lain"]) == 1
    assert "no site 'pasar-lain'" in capsys.readouterr().out
    stranger = tmp_path / "token"
    write_secret(stranger, "wrong")
    assert main([*words[:-1], str(stranger)]) == 1
    assert "doesn't take this token" in capsys.readouterr().out


def test_check_says_which_panels_of_an_empty_bucket_have_no_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Influxd(tmp_path / "influxd") as server:
        token = tmp_path / "token"
        write_secret(token, server.token)
        words = ["dashboards", "check", "--influx-url", server.url, "--token-file", str(token)]
        assert main(words) == 1
        assert "database not found: city_health" in capsys.readouterr().out
        make_buckets(server, tmp_path)
        assert main(words) == 1
        told = capsys.readouterr().out
        assert "gampong-city, Parking bays: no answer in 24 hours from city_health" in told
        # A field never written: the measurement is there, its field isn't.
        server.write(
            f"gateway_health,device=g,site=s online=1i {time.time_ns() // 10**6}", "city_health"
        )
        assert main(words) == 1
        told = capsys.readouterr().out
        assert "Gateways online" not in told
        assert "Readings waiting: no answer in 24 hours from city_health" in told
    shutil.rmtree(tmp_path / "influxd")
