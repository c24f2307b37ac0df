"""Gateways: who is there, what waits, whether all of it arrived, and how the cloud side is."""

from __future__ import annotations

from dashboards.grafana.ask import LATELY, LISTED, RANGE, SITE, Ask, over_time
from dashboards.grafana.attention import attention_table
from dashboards.grafana.city import GATEWAYS_ONLINE
from dashboards.grafana.palette import BAD, FULLNESS_STEPS, GOOD, NONE_IS_GOOD, POOR
from dashboards.grafana.panel import Board, Join, Layer, Look, Panel, Row, Step, Words
from ingest.stores import Bucket

HEALTH = "gateway_health"
_BY = ' GROUP BY "device", "site"'


def _sum_now(field: str, kind: str = HEALTH, function: str = "sum") -> Ask:
    text = (
        f'SELECT {function}("{field}") AS "{field}" FROM (SELECT last("{field}"::field)'
        f' AS "{field}" FROM "{kind}" WHERE {LATELY} AND {SITE}{_BY})'
    )
    return Ask(Bucket.HEALTH, kind, text)


def _lines(title: Words, about: Words, value: str, unit: str = "short", **more: object) -> Panel:
    steps = more.get("steps", ())
    assert isinstance(steps, tuple)
    return Panel(
        title=title,
        about=about,
        look=Look.LINES,
        asks=(over_time(Bucket.HEALTH, HEALTH, value, "$tag_site", ("site",), SITE),),
        width=8,
        height=8,
        unit=unit,
        low=0,
        interval="1m",
        steps=steps,
    )


def _number(title: Words, about: Words, ask: Ask, unit: str, steps: tuple[Step, ...]) -> Panel:
    return Panel(
        title=title,
        about=about,
        look=Look.NUMBER,
        asks=(ask,),
        width=4,
        height=4,
        unit=unit,
        steps=steps,
    )


NOW = Row(
    Words("Now", "Sekarang"),
    (
        Panel(
            title=Words("Gateways online", "Gateway terhubung"),
            about=Words("Heard within three minutes.", "Terdengar dalam tiga menit."),
            look=Look.NUMBER,
            asks=(GATEWAYS_ONLINE,),
            width=4,
            height=4,
            names={"online": Words("online", "terhubung"), "gateways": Words("of", "dari")},
        ),
        _number(
            Words("Readings waiting", "Bacaan menunggu"),
            Words("On all gateways' cards.", "Di kartu semua gateway."),
            _sum_now("waiting"),
            "short",
            (),
        ),
        _number(
            Words("Farthest behind", "Paling tertinggal"),
            Words("Age of the oldest that waits.", "Umur yang paling lama menunggu."),
            _sum_now("oldest_waiting_s", function="max"),
            "s",
            (Step(None, GOOD), Step(300, POOR), Step(3600, BAD)),
        ),
        _number(
            Words("Fullest outbox", "Outbox terpenuh"),
            Words("Share of its room on the card.", "Bagian dari ruangnya di kartu."),
            _sum_now("outbox_share", function="max"),
            "percentunit",
            FULLNESS_STEPS,
        ),
        _number(
            Words("Dropped, ever", "Terbuang"),
            Words(
                "Readings lost to full or damaged cards.",
                "Bacaan yang hilang karena kartu penuh atau rusak.",
            ),
            _sum_now("dropped"),
            "short",
            NONE_IS_GOOD,
        ),
        _number(
            Words("Rejected, ever", "Ditolak"),
            Words("Readings in dead letters.", "Bacaan yang ditolak basis data."),
            _sum_now("rejected"),
            "short",
            NONE_IS_GOOD,
        ),
    ),
)

_GATEWAY = "\"zone\"::tag = 'main' AND \"kind\"::field = 'gateway'"
_PLACES = Ask(
    Bucket.HEALTH,
    "device_registry",
    'SELECT last("label"::field) AS "label", last("latitude"::field) AS "latitude",'
    ' last("longitude"::field) AS "longitude" FROM "device_registry"'
    f' WHERE {LISTED} AND {SITE} AND {_GATEWAY} GROUP BY "device"',
)
_STATES = Ask(
    Bucket.HEALTH,
    HEALTH,
    'SELECT last("online"::field) AS "online", last("waiting"::field) AS "waiting"'
    f' FROM "{HEALTH}" WHERE {LATELY} AND {SITE} GROUP BY "device"',
)
COMPLETENESS = Ask(
    Bucket.HOURLY,
    "gateway_completeness",
    'SELECT "share"::field AS "share", "missing"::field AS "missing",'
    ' "waiting"::field AS "waiting", "why"::field AS "why" FROM "gateway_completeness"'
    f' WHERE {RANGE} AND {SITE} GROUP BY "device"',
)
_ONLINE_STEPS = (Step(None, BAD), Step(1, GOOD))

WHERE = Row(
    Words("Where, and what needs attention", "Di mana, dan yang perlu diperhatikan"),
    (
        Panel(
            title=Words("Gateways", "Gateway"),
            about=Words("Green: heard. Red: offline.", "Hijau: terdengar. Merah: terputus."),
            look=Look.MAP,
            asks=(_PLACES, _STATES),
            width=12,
            height=12,
            steps=_ONLINE_STEPS,
            join=Join(
                by="device",
                columns={
                    "device": Words("gateway", "gateway"),
                    "label": Words("label", "nama"),
                    "online": Words("online", "terhubung"),
                    "waiting": Words("waiting", "menunggu"),
                    "latitude": Words("latitude", "lintang"),
                    "longitude": Words("longitude", "bujur"),
                },
            ),
            layers=(Layer(0, Words("Gateways", "Gateway"), "online", "", "triangle"),),
        ),
        attention_table(12, 12),
    ),
)

OVER_TIME = Row(
    Words("Over time", "Dari waktu ke waktu"),
    (
        Panel(
            title=Words("Online", "Terhubung"),
            about=Words(
                "Red: a minute of these five without word from it. A gap: the watch was away.",
                "Merah: paling sedikit semenit tanpa kabar. Celah: watch sedang tidak ada.",
            ),
            look=Look.STATES,
            asks=(
                over_time(
                    Bucket.HEALTH,
                    HEALTH,
                    'min("online"::field)',
                    "$tag_device",
                    ("device",),
                    SITE,
                ),
            ),
            width=24,
            height=8,
            interval="5m",
            steps=_ONLINE_STEPS,
        ),
        _lines(
            Words("Waiting", "Menunggu"),
            Words(
                "Readings accepted, not yet confirmed: of each site's farthest gateway.",
                "Diterima, belum dikonfirmasi: gateway terbanyak di tiap lokasi.",
            ),
            'max("waiting"::field)',
        ),
        _lines(
            Words("Outbox", "Outbox"),
            Words("Share of its room: each site's fullest.", "Terpenuh di tiap lokasi."),
            'max("outbox_share"::field)',
            "percentunit",
            steps=FULLNESS_STEPS,
        ),
        Panel(
            title=Words("Seal to stored", "Segel sampai tersimpan"),
            about=Words(
                "How long a batch took; a backlog that is sent late shows as what it is.",
                "Lama pengiriman; yang terlambat terlihat terlambat.",
            ),
            look=Look.LINES,
            asks=(
                over_time(
                    Bucket.CITY,
                    "gateway_batch",
                    'max("lag_ms"::field)',
                    "$tag_device",
                    ("device",),
                    SITE,
                ),
            ),
            width=8,
            height=8,
            unit="ms",
            interval="1m",
            empty=Words("no batch here", "tidak ada kiriman di sini"),
        ),
    ),
)

CLOUD = Row(
    Words("All of it, and the cloud side", "Kelengkapan, dan sisi cloud"),
    (
        Panel(
            title=Words("Completeness, by day", "Kelengkapan per hari"),
            about=Words(
                "Share of a day's batches that are stored; days begin at midnight UTC.",
                "Bagian kiriman sehari yang tersimpan; hari dimulai tengah malam UTC.",
            ),
            look=Look.TABLE,
            asks=(COMPLETENESS,),
            width=12,
            height=10,
            join=Join(
                by="",
                columns={
                    "Time": Words("day", "hari"),
                    "device": Words("gateway", "gateway"),
                    "share": Words("stored", "tersimpan"),
                    "missing": Words("missing", "hilang"),
                    "waiting": Words("waiting", "menunggu"),
                    "why": Words("why", "sebab"),
                },
                sort="share",
            ),
            units={"share": "percentunit", "Time": "time:YYYY-MM-DD"},
            decimals=2,
            empty=Words("no day counted yet", "belum ada hari yang dihitung"),
        ),
        Panel(
            title=Words("Ingestors, in hand", "Ingestor, sedang ditangani"),
            about=Words("Batches whose fate isn't known yet.", "Kiriman yang belum selesai."),
            look=Look.LINES,
            asks=(
                over_time(
                    Bucket.HEALTH,
                    "ingestor_health",
                    'last("in_hand"::field)',
                    "$tag_device",
                    ("device",),
                    "",
                ),
            ),
            width=6,
            height=10,
            interval="1m",
            empty=Words("no ingestor writes", "tidak ada ingestor"),
        ),
        Panel(
            title=Words("Dead letters", "Surat mati"),
            about=Words("How full each ingestor's file is.", "Seberapa penuh berkasnya."),
            look=Look.LINES,
            asks=(
                over_time(
                    Bucket.HEALTH,
                    "ingestor_health",
                    'last("dead_letters_share"::field)',
                    "$tag_device",
                    ("device",),
                    "",
                ),
            ),
            width=6,
            height=10,
            unit="percentunit",
            low=0,
            interval="1m",
            steps=FULLNESS_STEPS,
            empty=Words("no ingestor writes", "tidak ada ingestor"),
        ),
    ),
)

BOARD = Board(
    uid="gampong-gateways",
    title=Words("Gateways", "Gateway"),
    about=Words("Who is there, what waits, what arrived.", "Siapa ada, apa menunggu, apa tiba."),
    rows=(NOW, WHERE, OVER_TIME, CLOUD),
    zones=False,
)
