"""What devices show and zones count, for the database: the page's states, never a stale one."""

from __future__ import annotations

from dashboards.states import Timed
from dashboards.zones import see
from ingest.stores import Bucket
from ingest.stores.kinds import CLOUD_KINDS
from ingest.stores.points import LineReader
from ingest.stores.zone_kinds import ZONE_KINDS
from wire.messages import Inventory, InventoryDevice, Place

NOW = 1_800_000_000_000
FRESH, STALE = NOW - 60_000, NOW - 700_000


def device(name: str, kind: str, *, zone: str = "a", closed: bool = False) -> InventoryDevice:
    place = Place(5.5, 95.0) if name.endswith("1") else Place(5.7, 95.2)
    return InventoryDevice(name, kind, "x", zone, 60.0, 600.0, place, maintenance=closed)


def city(*devices: InventoryDevice) -> dict[str, Inventory]:
    return {"gw-1": Inventory("gw-1", "pasar", 60.0, devices)}


def test_a_bay_that_has_gone_silent_is_unknown_and_not_free() -> None:
    bays = [device(f"bay-{n}", "parking_spot") for n in (1, 2, 3)]
    said = {"bay-1": {"occupied": Timed(0, FRESH)}, "bay-2": {"occupied": Timed(0, STALE)}}
    seen = see(city(*bays), said, NOW)
    assert seen.shows == {"bay-1": "free", "bay-2": "unknown", "bay-3": "unknown"}
    counts = seen.zones["pasar", "a", "parking_spot"]
    assert (counts["devices"], counts["free"], counts["unknown"]) == (3, 1, 2)
    assert counts["occupied_share"] == 0


def test_a_zone_of_which_nothing_is_known_has_no_share() -> None:
    seen = see(city(device("bay-1", "parking_spot")), {}, NOW)
    assert "occupied_share" not in seen.zones["pasar", "a", "parking_spot"]


def test_nobody_is_online_at_an_access_point_that_is_down() -> None:
    corners = [device(f"wifi-{n}", "wifi_access_point") for n in (1, 2)]
    said = {
        "wifi-1": {"up": Timed(1, FRESH), "clients": Timed(7, FRESH)},
        "wifi-2": {"up": Timed(0, FRESH), "clients": Timed(30, STALE)},
    }
    counts = see(city(*corners), said, NOW).zones["pasar", "a", "wifi_access_point"]
    assert (counts["up"], counts["ap_down"], counts["clients"]) == (1, 1, 7)


def test_a_closed_bin_isnt_in_the_mean_but_a_fire_in_it_is_told() -> None:
    bins = [device("bin-1", "waste_container"), device("bin-2", "waste_container", closed=True)]
    said = {
        "bin-1": {"filling_level": Timed(0.4, FRESH)},
        "bin-2": {"filling_level": Timed(0.9, FRESH)},
    }
    counts = see(city(*bins), said, NOW).zones["pasar", "a", "waste_container"]
    assert (counts["ok"], counts["closed"], counts["filling_level"]) == (1, 1, 0.4)
    said["bin-2"]["status"] = Timed("burning", FRESH)
    assert see(city(*bins), said, NOW).shows["bin-2"] == "burning"


def test_zones_stand_in_the_middle_of_their_devices_and_kinds_apart() -> None:
    devices = [device("bay-1", "parking_spot"), device("bay-2", "parking_spot")]
    seen = see(city(*devices, device("bin-1", "waste_container", zone="b")), {}, NOW)
    assert seen.zones.keys() == {("pasar", "a", "parking_spot"), ("pasar", "b", "waste_container")}
    counts = seen.zones["pasar", "a", "parking_spot"]
    assert round(float(counts["latitude"]), 6) == 5.6
    assert round(float(counts["longitude"]), 6) == 95.1


def test_a_zone_on_two_gateways_is_one() -> None:
    there = {
        name: Inventory(name, "pasar", 60.0, (device(f"bay-{name}", "parking_spot"),))
        for name in ("gw-1", "gw-2")
    }
    assert see(there, {}, NOW).zones["pasar", "a", "parking_spot"]["devices"] == 2


def test_every_line_is_one_that_the_stores_take() -> None:
    devices = [device(f"{kind}-1", kind) for kind in ("parking_spot", "waste_container")]
    lines = see(city(*devices, device("wifi-1", "wifi_access_point")), {}, NOW).lines
    reader = LineReader(Bucket.HEALTH)
    assert sorted(reader.read(line).kind for line in lines) == sorted(ZONE_KINDS)
    assert ZONE_KINDS.keys() <= CLOUD_KINDS.keys()


def test_a_kind_without_states_of_its_own_shows_that_it_is_heard() -> None:
    meter = device("meter-1", "energy_meter")
    said = {"meter-1": {"active_power_w": Timed(5.0, FRESH)}}
    seen = see(city(meter), said, NOW)
    assert (seen.shows, seen.lines) == ({"meter-1": "ok"}, [])


def test_a_sites_point_counts_all_its_zones() -> None:
    bays = [device(f"bay-{zone}1", "parking_spot", zone=zone) for zone in "abc"]
    lines = see(city(*bays), {"bay-a1": {"occupied": Timed(1, FRESH)}}, NOW).lines
    (site,) = (line for line in lines if line.startswith("parking_spot_now,"))
    assert site.startswith("parking_spot_now,device=pasar,gateway=pasar,site=pasar,zone=main ")
    assert "devices=3i" in site and "occupied=1i" in site and "unknown=2i" in site
