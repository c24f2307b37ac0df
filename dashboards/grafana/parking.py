"""Parking: free bays by zone, each bay's day, and how busy hours and weeks are."""

from __future__ import annotations

from dashboards.grafana.ask import (
    PLACE,
    RANGE,
    Ask,
    site_hours,
    zones_listed,
    zones_over_time,
)
from dashboards.grafana.palette import BLUE, state_colours, state_names
from dashboards.grafana.panel import Board, Join, Look, Panel, Row, Words
from dashboards.grafana.shared_panels import device_map, device_table, state_counts, state_lines
from ingest.stores import Bucket

KIND = "parking_spot"

ARRIVALS = Ask(
    Bucket.CITY,
    KIND,
    'SELECT sum("change") FROM (SELECT difference("occupied"::field) AS "change"'
    f' FROM "{KIND}" WHERE {RANGE} AND {PLACE} GROUP BY "device", "site")'
    f' WHERE {RANGE} AND "change" > 0 GROUP BY time($__interval), "site" fill(0)',
    "$tag_site",
)

_ZONES = Panel(
    title=Words("Zones", "Zona"),
    about=Words("Where a bay is free, the fullest zone first.", "Zona terpenuh di atas."),
    look=Look.TABLE,
    asks=(
        zones_listed(KIND, "occupied_share", "free", "occupied", "closed", "unknown", "devices"),
    ),
    width=10,
    height=14,
    join=Join(
        by="",
        columns={
            "zone": Words("zone", "zona"),
            "site": Words("site", "lokasi"),
            "occupied_share": Words("share", "bagian"),
            **state_names("free", "occupied", "closed", "unknown"),
            "devices": Words("bays", "petak"),
        },
        sort="occupied_share",
        descending=True,
    ),
    units={"occupied_share": "percentunit"},
)

BOARD = Board(
    uid="gampong-parking",
    title=Words("Parking", "Parkir"),
    about=Words("Free bays, and how busy it has been.", "Petak kosong, dan keramaiannya."),
    rows=(
        Row(
            Words("Now", "Sekarang"),
            (
                state_counts(KIND, Words("Bays", "Petak")),
                device_map(KIND, Words("Bays of the site", "Petak di lokasi"), 14, 14),
                _ZONES,
            ),
        ),
        Row(
            Words("Over time", "Dari waktu ke waktu"),
            (
                Panel(
                    title=Words("Bays by state", "Petak per keadaan"),
                    about=Words("Minute by minute.", "Tiap menit."),
                    look=Look.LINES,
                    asks=tuple(
                        zones_over_time(KIND, state, state)
                        for state in ("free", "occupied", "unknown")
                    ),
                    width=12,
                    height=9,
                    interval="1m",
                    stacked=True,
                    names=state_names("free", "occupied", "unknown"),
                    colours=state_colours("free", "occupied", "unknown"),
                ),
                Panel(
                    title=Words("Arrivals an hour", "Kedatangan per jam"),
                    about=Words(
                        "Bays that changed from free to occupied.",
                        "Petak yang berubah dari kosong ke terisi.",
                    ),
                    look=Look.HOURS,
                    asks=(ARRIVALS,),
                    width=12,
                    height=9,
                    interval="1h",
                    colours={"sum": BLUE},
                    empty=Words("no reading here", "tidak ada bacaan di sini"),
                ),
                state_lines(Words("Each bay", "Tiap petak"), KIND),
            ),
        ),
        Row(
            Words("Weeks and bays", "Minggu dan petak"),
            (
                Panel(
                    title=Words("Occupied by hour", "Terisi per jam"),
                    about=Words(
                        "Mean share of an hour, by site; for years.",
                        "Rata-rata per jam, per lokasi; tersimpan bertahun-tahun.",
                    ),
                    look=Look.HOURS,
                    asks=(site_hours(KIND, 'mean("occupied_mean"::field)', "$tag_site"),),
                    width=12,
                    height=10,
                    unit="percentunit",
                    interval="1h",
                    empty=Words("no hour yet", "belum ada"),
                ),
                device_table(
                    KIND,
                    Words("Bays, the most silent first", "Petak, yang paling diam di atas"),
                    {
                        "battery_v": Words("battery", "baterai"),
                        "rssi_dbm": Words("signal", "sinyal"),
                        "quality": Words("self-check", "pemeriksaan"),
                    },
                    12,
                    10,
                    "age_s",
                ),
            ),
        ),
    ),
)
