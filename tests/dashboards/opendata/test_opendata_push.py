"""Hours in a CKAN datastore: the store's own, once, whatever was away in between."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboards.opendata.public import fields_of
from gampong.cli import main
from ingest.stores import Bucket, Written
from ingest.stores.configuration import SqliteSettings
from tests.dashboards.opendata.ckan_stand_in import DATASET, TOKEN, Portal, portal
from tests.dashboards.opendata.public_process import toml
from tests.dashboards.opendata.test_opendata_api import hours
from tests.dashboards.small_city import tags
from tests.ingest.stores.databases import Database
from tests.secret_file import write_secret
from tests.servers import free_port
from wire.clock import SystemClock

HOUR_MS = 3_600_000
NOW_MS = SystemClock().now_ms()
HOUR = NOW_MS // HOUR_MS * HOUR_MS

CKAN = """
[ckan]
url = "{url}"
dataset = "{dataset}"
token_file = "{folder}/ckan.token"
first_days = 2
again_hours = 2
rows_per_call = 7
"""


class Desk:
    """A store with hours in it, and the command."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture
        self.database = Database(SqliteSettings(path=str(folder / "city.db")))
        self.write(Bucket.HOURLY, *hours(NOW_MS, 30))
        write_secret(folder / "ckan.token", TOKEN + "\n")

    def write(self, bucket: Bucket, *lines: str) -> None:
        async def put(store: Any) -> None:
            assert await store.write(bucket, lines) == Written()

        self.database.run(put)

    def push(self, url: str, *words: str, dataset: str = DATASET) -> tuple[int, str, str]:
        file = self.folder / "opendata.toml"
        ckan = CKAN.format(url=url, dataset=dataset, folder=self.folder)
        file.write_text(toml(self.database.settings) + ckan)
        code = main(["opendata", "push", "--config", str(file), *words])
        said = self._capture.readouterr()
        assert TOKEN not in said.out + said.err
        assert "Traceback" not in said.err
        return code, said.out, said.err


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parking(state: Portal) -> list[tuple[str, str, float]]:
    rows = state.rows("parking_spot")
    return [(row["hour"], row["device"], row["occupied_mean"]) for row in rows]


EXPECTED = [
    (text(HOUR - (30 - nth) * HOUR_MS), f"bay-{number:02d}", number / 4)
    for nth in range(30)
    for number in range(1, 4)
]


def test_every_hour_is_there_once_however_often_it_is_pushed(desk):
    with portal() as (state, url):
        for _ in range(3):
            code, said, _ = desk.push(url)
            assert code == 0, said
            assert parking(state) == EXPECTED
        made = [asked for action, asked in state.calls if action == "datastore_create"]
        assert len(made) == len(state.resources)  # each table once
        columns = ["hour", "device", "site", "zone", *fields_of("parking_spot", summed=True)]
        assert list(state.tables[state.resources["parking_spot"]].columns) == columns
        sizes = [len(asked["records"]) for action, asked in state.calls if "upsert" in action]
        assert max(sizes) <= 7


def test_people_are_told_in_steps_and_no_gateway_at_all(desk):
    with portal() as (state, url):
        assert desk.push(url)[0] == 0
        (row, *_) = state.rows("wifi_access_point")
        assert (row["clients_mean"], row["clients_max"], row["clients_count"]) == (0, 10, 60)
        assert "gateway" not in row
        assert "rx_bytes_mean" not in row


def test_a_portal_that_goes_away_gets_the_rest_when_it_is_back(desk):
    state = Portal()
    state.fail_upserts_after = 4
    with portal(standing=state) as (_, url):
        code, _, why = desk.push(url)
        assert code == 1
        assert "502" in why
        assert 0 < len(state.rows("parking_spot")) < len(EXPECTED)
        assert parking(state) == EXPECTED[: len(parking(state))]  # the oldest first
        state.fail_upserts_after = None
        assert desk.push(url)[0] == 0
        assert parking(state) == EXPECTED
    code, _, why = desk.push(f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "127.0.0.1" in why


def test_hours_that_late_data_has_changed_are_written_again(desk):
    with portal() as (state, url):
        assert desk.push(url)[0] == 0
        old_ms = HOUR - 20 * HOUR_MS
        own = ",".join(f"{name}={value}" for name, value in sorted(tags("bay-02").items()))
        fields = "occupied_mean=0.9,occupied_min=0,occupied_max=1,occupied_count=9i"
        desk.write(Bucket.HOURLY, f"parking_spot,{own} {fields} {old_ms}")
        assert desk.push(url)[0] == 0
        assert parking(state) == EXPECTED  # nobody has said that it changed
        note = "device=in-1,gateway=in-1,site=cloud,zone=main"
        desk.write(Bucket.HEALTH, f"rollup_due,{note} hour_ms={old_ms}i {NOW_MS}")
        assert desk.push(url)[0] == 0
        changed = {(at, device): mean for at, device, mean in parking(state)}
        assert changed[text(old_ms), "bay-02"] == 0.9
        assert len(changed) == len(EXPECTED)


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(desk):
    with portal() as (state, url):
        code, said, _ = desk.push(url, "--dry-run")
        assert code == 0
        assert "parking_spot: would make its table" in said
        assert "parking_spot: 90 rows of 30 hours" in said
        assert state.resources == {}
        assert {action for action, _ in state.calls} == {"package_show"}
        assert desk.push(url)[0] == 0
        code, said, _ = desk.push(url, "--dry-run")
        assert "would make" not in said
        assert "parking_spot: 9 rows of 3 hours" in said


def test_since_begins_where_it_says(desk):
    with portal() as (state, url):
        assert desk.push(url)[0] == 0
        state.tables[state.resources["parking_spot"]].rows.clear()
        day = datetime.fromtimestamp((HOUR - 40 * HOUR_MS) / 1000, UTC).date().isoformat()
        assert desk.push(url, "--since", day)[0] == 0
        assert parking(state) == EXPECTED


def test_a_table_from_before_an_upgrade_gets_the_new_columns(desk):
    with portal() as (state, url):
        assert desk.push(url)[0] == 0
        table = state.tables[state.resources["parking_spot"]]
        del table.columns["occupied_max"]
        table.rows.clear()
        code, said, _ = desk.push(url)
        assert code == 0
        assert "parking_spot: makes columns occupied_max" in said
        assert parking(state) == EXPECTED


def test_a_resource_that_somebody_made_by_hand_gets_its_table(desk):
    state = Portal()
    state.resources["parking_spot"] = "11111111-0000-0000-0000-000000000000"
    with portal(standing=state) as (_, url):
        assert desk.push(url)[0] == 0
        assert parking(state) == EXPECTED


@pytest.mark.parametrize(
    ("token", "dataset", "why"),
    [("somebody's", DATASET, "not authorised"), (TOKEN, "elsewhere", "make the dataset")],
)
def test_what_needs_somebody_is_told_in_words(desk, token, dataset, why):
    (desk.folder / "ckan.token").write_text(token)
    with portal() as (_, url):
        code, _, said = desk.push(url, dataset=dataset)
        assert code == 2
        assert why in said


def test_two_parts_of_an_hour_of_a_device_that_moved_become_one(desk):
    moved = tags("bay-01") | {"gateway": "mahirah-02"}
    own = ",".join(f"{name}={value}" for name, value in sorted(moved.items()))
    fields = "occupied_mean=1,occupied_min=1,occupied_max=1,occupied_count=18i"
    desk.write(Bucket.HOURLY, f"parking_spot,{own} {fields} {HOUR - HOUR_MS}")
    with portal() as (state, url):
        assert desk.push(url)[0] == 0
        (row,) = [
            row
            for row in state.rows("parking_spot")
            if (row["hour"], row["device"]) == (text(HOUR - HOUR_MS), "bay-01")
        ]
        assert row["occupied_count"] == 24
        assert row["occupied_mean"] == pytest.approx((6 * 0.25 + 18) / 24)
        assert (row["occupied_min"], row["occupied_max"]) == (0, 1)
