"""City: everything at a glance, where it is, what needs somebody, and how it has been."""

from __future__ import annotations

from dashboards.grafana.ask import (
    LATELY,
    PLACE,
    RANGE,
    SITE,
    STEP,
    Ask,
    site_hours,
    sites_now,
    sites_over_time,
    zones_listed,
)
from dashboards.grafana.attention import attention_table
from dashboards.grafana.palette import (
    BAD,
    BLUE,
    FILLING_STEPS,
    GOOD,
    NONE_IS_GOOD,
    POOR,
    UNKNOWN_STEPS,
    state_colours,
    state_names,
)
from dashboards.grafana.panel import Board, Layer, Look, Panel, Row, Step, Words
from ingest.stores import Bucket

GATEWAYS_ONLINE = Ask(
    Bucket.HEALTH,
    "gateway_health",
    'SELECT sum("online") AS "online", count("online") AS "gateways" FROM'
    f' (SELECT last("online"::field) AS "online" FROM "gateway_health" WHERE {LATELY} AND {SITE}'
    ' GROUP BY "device", "site")',
)
NEWEST_AGE = Ask(
    Bucket.HEALTH,
    "device_health",
    'SELECT min("age_s") AS "age_s" FROM (SELECT last("age_s"::field) AS "age_s"'
    f' FROM "device_health" WHERE {LATELY} AND {PLACE} GROUP BY "device")',
)
_KIND_WORDS = {
    "parking_spot": Words("bays", "petak"),
    "waste_container": Words("bins", "tempat sampah"),
    "wifi_access_point": Words("WiFi", "WiFi"),
}


def unknown_over_time(kind: str, legend: str) -> Ask:
    """How many devices of a kind nothing is known of, over all sites."""
    return Ask(
        Bucket.HEALTH,
        f"{kind}_now",
        f'SELECT sum("unknown") FROM (SELECT last("unknown"::field) AS "unknown" FROM "{kind}_now"'
        f' WHERE {RANGE} AND {SITE} GROUP BY {STEP}, "site" fill(none)) WHERE {RANGE}'
        f" GROUP BY {STEP} fill(none)",
        legend,
    )


NOW = Row(
    Words("Now", "Sekarang"),
    (
        Panel(
            title=Words("Parking bays", "Petak parkir"),
            about=Words(
                "Bays whose state is known. Unknown ones are counted apart, never as free.",
                "Petak yang keadaannya diketahui; yang tidak diketahui dihitung sendiri.",
            ),
            look=Look.NUMBER,
            asks=(sites_now("parking_spot", {"free": "free", "occupied": "occupied"}),),
            width=4,
            height=5,
            names=state_names("free", "occupied"),
            colours=state_colours("free", "occupied"),
            link="gampong-parking",
        ),
        Panel(
            title=Words("Bins to be emptied", "Tempat sampah perlu dikosongkan"),
            about=Words("Above 85 %, and those that burn.", "Di atas 85 %, dan yang terbakar."),
            look=Look.NUMBER,
            asks=(sites_now("waste_container", {"full": "full", "burning": "burning"}),),
            width=4,
            height=5,
            names=state_names("full", "burning"),
            steps=NONE_IS_GOOD,
            link="gampong-waste",
        ),
        Panel(
            title=Words("People online", "Orang daring"),
            about=Words("At the WiFi corners that are up.", "Di titik WiFi yang menyala."),
            look=Look.NUMBER,
            asks=(sites_now("wifi_access_point", {"clients": "clients"}),),
            width=4,
            height=5,
            colours={"clients": BLUE},
            link="gampong-wifi",
        ),
        Panel(
            title=Words("Gateways online", "Gateway terhubung"),
            about=Words(
                "Heard within three minutes, of all.", "Terdengar dalam tiga menit, dari semua."
            ),
            look=Look.NUMBER,
            asks=(GATEWAYS_ONLINE,),
            width=4,
            height=5,
            names={
                "online": Words("online", "terhubung"),
                "gateways": Words("of", "dari"),
            },
            link="gampong-gateways",
        ),
        Panel(
            title=Words("State unknown", "Tidak diketahui"),
            about=Words(
                "No reading that is fresh enough: silent sensor, dead gateway, or data on its way.",
                "Tidak ada bacaan yang cukup baru: sensor diam, gateway mati, atau data tertunda.",
            ),
            look=Look.NUMBER,
            asks=tuple(sites_now(kind, {"unknown": kind}) for kind in _KIND_WORDS),
            width=4,
            height=5,
            names=_KIND_WORDS,
            steps=UNKNOWN_STEPS,
        ),
        Panel(
            title=Words("Newest reading", "Bacaan terbaru"),
            about=Words("How long ago it was taken.", "Berapa lama yang lalu diambil."),
            look=Look.NUMBER,
            asks=(NEWEST_AGE,),
            width=4,
            height=5,
            unit="s",
            steps=(Step(None, GOOD), Step(180, POOR), Step(900, BAD)),
        ),
    ),
)

WHERE = Row(
    Words("Where", "Di mana"),
    (
        Panel(
            title=Words("Zones", "Zona"),
            about=Words(
                "One marker a zone and kind: how full the bays are, how full the bins, people"
                " online. A zone of which nothing is known has a grey marker.",
                "Satu penanda tiap zona dan jenis: terisinya petak, penuhnya tempat sampah, orang"
                " daring. Zona yang tidak diketahui berwarna abu-abu.",
            ),
            look=Look.MAP,
            asks=(
                zones_listed(
                    "parking_spot", "latitude", "longitude", "occupied_share", "free", "unknown"
                ),
                zones_listed(
                    "waste_container", "latitude", "longitude", "filling_level", "full", "unknown"
                ),
                zones_listed(
                    "wifi_access_point", "latitude", "longitude", "clients", "up", "unknown"
                ),
            ),
            width=14,
            height=16,
            unit="percentunit",
            steps=FILLING_STEPS,
            units=dict.fromkeys(("clients", "free", "full", "up", "unknown"), "short"),
            field_steps={"up": (Step(None, BAD), Step(1, GOOD))},
            layers=(
                Layer(0, Words("Parking", "Parkir"), "occupied_share", "free", "square"),
                Layer(1, Words("Waste", "Sampah"), "filling_level", "full", "triangle"),
                Layer(2, Words("WiFi", "WiFi"), "up", "clients", "circle"),
            ),
        ),
        attention_table(10, 16),
    ),
)

OVER_TIME = Row(
    Words("Over time", "Dari waktu ke waktu"),
    (
        Panel(
            title=Words("Bays occupied", "Petak terisi"),
            about=Words("By site, minute by minute; a gap is a gap.", "Per lokasi, tiap menit."),
            look=Look.LINES,
            asks=(sites_over_time("parking_spot", "occupied"),),
            width=8,
            height=8,
            interval="1m",
        ),
        Panel(
            title=Words("People online", "Orang daring"),
            about=Words("By site, minute by minute.", "Per lokasi, tiap menit."),
            look=Look.LINES,
            asks=(sites_over_time("wifi_access_point", "clients"),),
            width=8,
            height=8,
            interval="1m",
        ),
        Panel(
            title=Words("State unknown", "Tidak diketahui"),
            about=Words("Devices without a fresh reading.", "Perangkat tanpa bacaan baru."),
            look=Look.LINES,
            asks=tuple(unknown_over_time(kind, name.english) for kind, name in _KIND_WORDS.items()),
            width=8,
            height=8,
            interval="1m",
            stacked=True,
            names={name.english: name for name in _KIND_WORDS.values()},
        ),
    ),
)

LONG = Row(
    Words("By hour, for weeks and years", "Per jam, untuk minggu dan tahun"),
    (
        Panel(
            title=Words("Parking occupied", "Parkir terisi"),
            about=Words("Mean share of an hour, by site.", "Rata-rata per jam, per lokasi."),
            look=Look.HOURS,
            asks=(site_hours("parking_spot", 'mean("occupied_mean"::field)', "$tag_site"),),
            width=8,
            height=8,
            unit="percentunit",
            interval="1h",
            empty=Words("no hour yet", "belum ada"),
        ),
        Panel(
            title=Words("Bins, how full", "Isi tempat sampah"),
            about=Words("Mean of an hour, by site.", "Rata-rata per jam, per lokasi."),
            look=Look.HOURS,
            asks=(site_hours("waste_container", 'mean("filling_level_mean"::field)', "$tag_site"),),
            width=8,
            height=8,
            unit="percentunit",
            interval="1h",
            empty=Words("no hour yet", "belum ada"),
        ),
        Panel(
            title=Words("WiFi, busiest corner", "WiFi, titik tersibuk"),
            about=Words("Most people at once at one corner.", "Orang terbanyak di satu titik."),
            look=Look.HOURS,
            asks=(site_hours("wifi_access_point", 'max("clients_max"::field)', "$tag_site"),),
            width=8,
            height=8,
            interval="1h",
            empty=Words("no hour yet", "belum ada"),
        ),
    ),
)

BOARD = Board(
    uid="gampong-city",
    title=Words("City", "Kota"),
    about=Words("The whole city at a glance.", "Seluruh kota dalam sekejap."),
    rows=(NOW, WHERE, OVER_TIME, LONG),
    zones=False,
)
