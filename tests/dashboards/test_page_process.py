"""`gampong page` from outside: its addresses, its end, and what it says of wrong arguments."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import time
from collections.abc import Callable
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import zstandard

from tests.dashboards.page_process import COMMAND, ROOT, page
from tests.dashboards.small_city import bay, store_now, whole_city
from wire.clock import CityTime, SystemClock


def test_the_page_answers_and_a_signal_ends_it(tmp_path):
    now_ms = SystemClock().now_ms()
    store_now(tmp_path / "city.db", whole_city(now_ms))
    for number in (signal.SIGTERM, signal.SIGINT):
        with page(tmp_path / "city.db") as running:
            assert running.get("healthz") == (200, "ok")
            status, html = running.get("")
            assert status == 200
            assert "Pusat Kendali Gampong" in html
            assert running.end(number) == 0


def test_the_state_is_plain_json_with_ages(tmp_path):
    now_ms = SystemClock().now_ms()
    store_now(tmp_path / "city.db", whole_city(now_ms))
    with page(tmp_path / "city.db") as running:
        city = json.loads(running.get("api/state")[1])
        devices = {device["name"]: device for device in city["devices"]}
        assert not city["store_away"]
        assert len(devices) == 11
        bin_ = devices["bin-02"]
        assert bin_["state"] == "full"
        assert bin_["fields"] == {"filling_level": 0.92, "status": "ok"}
        assert bin_["time_ms"] == now_ms - 3000
        assert bin_["age_s"] == pytest.approx((city["now_ms"] - bin_["time_ms"]) / 1000)
        assert bin_["site"] == "pasar-inpres"


@pytest.mark.parametrize("coding", ["gzip", "zstd", "identity"])
def test_the_state_comes_compressed_as_it_is_asked_for(tmp_path, coding):
    store_now(tmp_path / "city.db", whole_city(SystemClock().now_ms()))
    with page(tmp_path / "city.db") as running:
        headers = {"Accept-Encoding": coding}
        with urlopen(Request(f"{running.address}api/state", headers=headers)) as answer:
            body, said = answer.read(), answer.headers.get("Content-Encoding", "identity")
        assert said == coding
        opened = {"gzip": gzip.decompress, "zstd": unpacked, "identity": bytes}[coding](body)
        assert len(json.loads(opened)["devices"]) == 11


def test_who_has_the_newest_state_is_told_so_and_not_sent_it_again(tmp_path):
    store_now(tmp_path / "city.db", whole_city(SystemClock().now_ms()))
    with page(tmp_path / "city.db") as running:
        while True:  # a look at the store may come between the two
            with urlopen(f"{running.address}api/state") as answer:
                headers = {"If-None-Match": answer.headers["ETag"]}
            try:
                urlopen(Request(f"{running.address}api/state", headers=headers)).close()
            except HTTPError as error:
                assert (error.code, error.read()) == (304, b"")
                break


def test_the_state_follows_the_store_while_it_is_asked_for(tmp_path):
    now_ms = SystemClock().now_ms()
    store_now(tmp_path / "city.db", whole_city(now_ms))
    with page(tmp_path / "city.db") as running:

        def state() -> str:
            devices = json.loads(running.get("api/state")[1])["devices"]
            return next(str(each["state"]) for each in devices if each["name"] == "bay-02")

        assert state() == "free"
        store_now(tmp_path / "city.db", [bay("bay-02", now_ms + 1000, 1)])
        wait_until(lambda: state() == "occupied")


def wait_until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline


def unpacked(body: bytes) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(body).read()


def test_city_time_is_the_one_it_was_given(tmp_path):
    store_now(tmp_path / "city.db", [])
    city = CityTime(SystemClock().now_ms(), 1_790_000_000_000, 60)
    with page(tmp_path / "city.db", "--city-time", city.argument) as running:
        now_ms = json.loads(running.get("api/state")[1])["now_ms"]
        assert 1_790_000_000_000 <= now_ms < 1_790_000_000_000 + 60 * 60_000


def test_a_store_that_is_away_is_said_to_be(tmp_path):
    with page(tmp_path / "city.db") as running:
        assert running.get("healthz") == (503, "store away")
        assert json.loads(running.get("api/state")[1])["devices"] == []


def test_text_from_outside_never_becomes_markup(tmp_path):
    store_now(tmp_path / "city.db", [])
    with page(tmp_path / "city.db", "--note", "</script><script>alert(1)</script>") as running:
        for path in ("", "?lang=%3Cscript%3Ealert(1)%3C/script%3E"):
            assert "<script>alert(1)" not in running.get(path)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--store", "city.db"], "Write it as sqlite:PATH"),
        (["--config", "nowhere.toml"], "nowhere.toml: "),
        (["--store", "sqlite:city.db", "--city-time", "1:2:0"], "rate must be above 0"),
        (["--store", "sqlite:city.db", "--port", "70000"], "--port must be 0 to 65535"),
    ],
)
def test_wrong_arguments_are_told_with_their_remedy(arguments, said):
    ended = subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert said in ended.stderr


def test_a_configuration_names_the_key_that_is_wrong(tmp_path):
    file = tmp_path / "page.toml"
    file.write_text('[store]\ntype = "sqlite"\nfile = "x"\n')
    ended = subprocess.run(
        [*COMMAND, "--config", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert f"{file}: store: " in ended.stderr
