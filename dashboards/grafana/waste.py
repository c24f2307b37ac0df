"""Waste: which bins to empty, which burn or lie down, and how fast they fill."""

from __future__ import annotations

from dashboards.grafana.ask import PLACE, over_time, site_hours, zones_over_time
from dashboards.grafana.palette import BAD, FILLING_STEPS, GOOD, POOR, state_colours, state_names
from dashboards.grafana.panel import Board, Look, Panel, Row, Step, Words
from dashboards.grafana.shared_panels import device_map, device_table, state_counts, state_lines
from ingest.stores import Bucket

KIND = "waste_container"
_WORST = ("burning", "full", "filling", "unknown")

BOARD = Board(
    uid="gampong-waste",
    title=Words("Waste", "Sampah"),
    about=Words(
        "Which bins to empty, and how fast they fill.", "Tempat sampah yang perlu diangkut."
    ),
    rows=(
        Row(
            Words("Now", "Sekarang"),
            (
                state_counts(KIND, Words("Bins", "Tempat sampah")),
                device_table(
                    KIND,
                    Words("Bins, the fullest first", "Tempat sampah, terpenuh di atas"),
                    {
                        "filling_level": Words("full", "isi"),
                        "temperature_c": Words("temperature", "suhu"),
                        "status": Words("status", "status"),
                        "battery_v": Words("battery", "baterai"),
                    },
                    12,
                    14,
                    "filling_level",
                ),
                device_map(KIND, Words("Bins of the site", "Tempat sampah di lokasi"), 12, 14),
            ),
        ),
        Row(
            Words("Over time", "Dari waktu ke waktu"),
            (
                Panel(
                    title=Words("How full, by zone", "Isi per zona"),
                    about=Words("Mean of the zone's bins.", "Rata-rata di zona."),
                    look=Look.LINES,
                    asks=(
                        over_time(
                            Bucket.HEALTH,
                            f"{KIND}_zone",
                            'mean("filling_level"::field)',
                            "$tag_site $tag_zone",
                            ("site", "zone"),
                        ),
                    ),
                    width=8,
                    height=9,
                    unit="percentunit",
                    low=0,
                    high=1,
                    interval="1m",
                    steps=FILLING_STEPS,
                ),
                Panel(
                    title=Words("Bins by state", "Tempat sampah per keadaan"),
                    about=Words("Minute by minute.", "Tiap menit."),
                    look=Look.LINES,
                    asks=tuple(zones_over_time(KIND, state, state) for state in _WORST),
                    width=8,
                    height=9,
                    interval="1m",
                    stacked=True,
                    names=state_names(*_WORST),
                    colours=state_colours(*_WORST),
                ),
                Panel(
                    title=Words("Hottest bin", "Tempat sampah terpanas"),
                    about=Words(
                        "Highest temperature of any bin, by site.",
                        "Suhu tertinggi, per lokasi.",
                    ),
                    look=Look.LINES,
                    asks=(
                        over_time(
                            Bucket.CITY,
                            KIND,
                            'max("temperature_c"::field)',
                            "$tag_site",
                            ("site",),
                            PLACE,
                        ),
                    ),
                    width=8,
                    height=9,
                    unit="celsius",
                    interval="15m",
                    steps=(Step(None, GOOD), Step(50, POOR), Step(70, BAD)),
                    empty=Words("no temperature here", "tidak ada suhu di sini"),
                ),
                state_lines(Words("Each bin", "Tiap tempat sampah"), KIND),
            ),
        ),
        Row(
            Words("Weeks", "Minggu"),
            (
                Panel(
                    title=Words("Fullest bin by hour", "Terpenuh per jam"),
                    about=Words("Of each site; for years.", "Per lokasi; bertahun-tahun."),
                    look=Look.HOURS,
                    asks=(site_hours(KIND, 'max("filling_level_max"::field)', "$tag_site"),),
                    width=12,
                    height=9,
                    unit="percentunit",
                    interval="1h",
                    empty=Words("no hour yet", "belum ada"),
                ),
                Panel(
                    title=Words("How full by hour", "Isi per jam"),
                    about=Words("Mean of each site; for years.", "Rata-rata; bertahun-tahun."),
                    look=Look.HOURS,
                    asks=(site_hours(KIND, 'mean("filling_level_mean"::field)', "$tag_site"),),
                    width=12,
                    height=9,
                    unit="percentunit",
                    interval="1h",
                    empty=Words("no hour yet", "belum ada"),
                ),
            ),
        ),
    ),
)
