"""WiFi: who is online, and what a visitor feels at each corner."""

from __future__ import annotations

from dashboards.grafana.ask import PLACE, RANGE, Ask, over_time, site_hours, sites_over_time
from dashboards.grafana.palette import BAD, GOOD, POOR
from dashboards.grafana.panel import Board, Look, Panel, Row, Step, Words
from dashboards.grafana.shared_panels import device_map, device_table, state_counts, state_lines
from ingest.stores import Bucket

KIND = "wifi_access_point"
NOTHING = Words("no reading here", "tidak ada bacaan di sini")


def _felt(title: Words, about: Words, field: str, unit: str, steps: tuple[Step, ...]) -> Panel:
    value = f'mean("{field}"::field)'
    return Panel(
        title=title,
        about=about,
        look=Look.LINES,
        asks=(over_time(Bucket.CITY, KIND, value, "$tag_device", ("device",)),),
        width=8,
        height=8,
        unit=unit,
        low=0,
        interval="1m",
        steps=steps,
        empty=NOTHING,
    )


def traffic(field: str) -> Ask:
    """Bits a second out of the access points' byte counters, which begin anew when one restarts."""
    return Ask(
        Bucket.CITY,
        KIND,
        f'SELECT sum("rate") FROM (SELECT non_negative_derivative(last("{field}"::field), 1s) * 8'
        f' AS "rate" FROM "{KIND}" WHERE {RANGE} AND {PLACE}'
        f' GROUP BY time($__interval), "device", "site" fill(none)) WHERE {RANGE}'
        " GROUP BY time($__interval) fill(none)",
        field,
    )


BOARD = Board(
    uid="gampong-wifi",
    title=Words("WiFi", "WiFi"),
    about=Words("Who is online, and what a visitor feels.", "Siapa daring, dan apa yang terasa."),
    rows=(
        Row(
            Words("Now", "Sekarang"),
            (
                state_counts(KIND, Words("Corners", "Titik WiFi")),
                device_table(
                    KIND,
                    Words("Corners, the busiest first", "Titik WiFi, tersibuk di atas"),
                    {
                        "clients": Words("online", "daring"),
                        "portal": Words("portal", "portal"),
                        "latency_ms": Words("latency", "latensi"),
                        "loss_ratio": Words("loss", "hilang"),
                        "channel_utilization": Words("channel busy", "kanal sibuk"),
                    },
                    14,
                    12,
                    "clients",
                ),
                device_map(KIND, Words("Corners of the site", "Titik WiFi di lokasi"), 10, 12),
            ),
        ),
        Row(
            Words("People", "Orang"),
            (
                Panel(
                    title=Words("People online", "Orang daring"),
                    about=Words("By site, minute by minute.", "Per lokasi, tiap menit."),
                    look=Look.LINES,
                    asks=(sites_over_time(KIND, "clients"),),
                    width=12,
                    height=8,
                    interval="1m",
                ),
                Panel(
                    title=Words("People online by hour", "Orang daring per jam"),
                    about=Words(
                        "Mean of a corner in that hour, by site; for years.",
                        "Rata-rata satu titik per jam, per lokasi; bertahun-tahun.",
                    ),
                    look=Look.HOURS,
                    asks=(site_hours(KIND, 'mean("clients_mean"::field)', "$tag_site"),),
                    width=12,
                    height=8,
                    interval="1h",
                    decimals=1,
                    empty=Words("no hour yet", "belum ada"),
                ),
                state_lines(Words("Each corner", "Tiap titik"), KIND, height=8),
            ),
        ),
        Row(
            Words("What a visitor feels", "Yang dirasakan pengunjung"),
            (
                _felt(
                    Words("Latency", "Latensi"),
                    Words("From the gateway to the internet.", "Dari gateway ke internet."),
                    "latency_ms",
                    "ms",
                    (Step(None, GOOD), Step(150, POOR), Step(300, BAD)),
                ),
                _felt(
                    Words("Probes lost", "Uji yang hilang"),
                    Words("Share of probes without an answer.", "Bagian uji tanpa jawaban."),
                    "loss_ratio",
                    "percentunit",
                    (Step(None, GOOD), Step(0.02, POOR), Step(0.1, BAD)),
                ),
                _felt(
                    Words("Channel busy", "Kanal sibuk"),
                    Words("Share of time; above 80 % it crawls.", "Di atas 80 % menjadi lambat."),
                    "channel_utilization",
                    "percentunit",
                    (Step(None, GOOD), Step(0.6, POOR), Step(0.8, BAD)),
                ),
                Panel(
                    title=Words("Traffic", "Lalu lintas"),
                    about=Words("All corners, both ways.", "Semua titik, dua arah."),
                    look=Look.LINES,
                    asks=(traffic("rx_bytes"), traffic("tx_bytes")),
                    width=24,
                    height=8,
                    unit="bps",
                    interval="2m",
                    names={
                        "rx_bytes": Words("from visitors", "dari pengunjung"),
                        "tx_bytes": Words("to visitors", "ke pengunjung"),
                    },
                    empty=NOTHING,
                ),
            ),
        ),
    ),
)
