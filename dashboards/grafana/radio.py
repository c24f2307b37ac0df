"""Radio and buses: how well devices are heard, what the air lost, whose battery goes, which cable
fails."""

from __future__ import annotations

from dashboards.grafana.ask import LISTED, PLACE, RANGE, SITE, Ask, over_time
from dashboards.grafana.palette import BAD, GOOD, POOR
from dashboards.grafana.panel import Board, Join, Look, Panel, Row, Step, Words
from ingest.stores import Bucket

NOTHING = Words("no reading here", "tidak ada bacaan di sini")
_RADIO_KINDS = ("parking_spot", "waste_container")
_KIND_WORDS = {
    "parking_spot": Words("bays", "petak"),
    "waste_container": Words("bins", "tempat sampah"),
}


def _mean_by_zone(
    field: str, title: Words, about: Words, unit: str, steps: tuple[Step, ...]
) -> Panel:
    return Panel(
        title=title,
        about=about,
        look=Look.LINES,
        asks=tuple(
            over_time(
                Bucket.CITY,
                kind,
                f'mean("{field}"::field)',
                f"{_KIND_WORDS[kind].english} $tag_zone",
                ("zone",),
            )
            for kind in _RADIO_KINDS
        ),
        width=12,
        height=8,
        unit=unit,
        interval="15m",
        steps=steps,
        empty=NOTHING,
    )


def _weakest(kind: str) -> Panel:
    fields = ("rssi_dbm", "snr_db", "spreading_factor", "gateways_heard", "battery_v", "quality")
    names = ", ".join(f'last("{name}"::field) AS "{name}"' for name in fields)
    heard = Ask(
        Bucket.CITY,
        kind,
        f'SELECT {names} FROM "{kind}" WHERE {LISTED} AND {PLACE} GROUP BY "device", "zone"',
    )
    return Panel(
        title=Words(
            f"{_KIND_WORDS[kind].english.capitalize()}, the weakest signal first",
            f"{_KIND_WORDS[kind].indonesian.capitalize()}, sinyal terlemah di atas",
        ),
        about=Words("The newest of two hours.", "Yang terbaru dalam dua jam."),
        look=Look.TABLE,
        asks=(heard,),
        width=12,
        height=10,
        join=Join(
            by="",
            columns={
                "device": Words("device", "perangkat"),
                "zone": Words("zone", "zona"),
                "rssi_dbm": Words("signal", "sinyal"),
                "snr_db": Words("above noise", "di atas derau"),
                "spreading_factor": Words("SF", "SF"),
                "gateways_heard": Words("heard by", "didengar"),
                "battery_v": Words("battery", "baterai"),
                "quality": Words("self-check", "pemeriksaan"),
            },
            sort="rssi_dbm",
        ),
        empty=NOTHING,
    )


RADIO_SHARE = Ask(
    Bucket.HOURLY,
    "gateway_completeness",
    f'SELECT mean("radio_share"::field) FROM "gateway_completeness" WHERE {RANGE} AND {SITE}'
    ' GROUP BY time(1d), "device" fill(none)',
    "$tag_device",
)
REFUSED = Ask(
    Bucket.HEALTH,
    "gateway_health",
    'SELECT non_negative_difference(last("refused"::field)) FROM "gateway_health"'
    f' WHERE {RANGE} AND {SITE} GROUP BY time($__interval), "device" fill(none)',
    "$tag_device",
)
BUS_ERRORS = over_time(
    Bucket.HEALTH,
    "gateway_health",
    'max("link_error_share"::field)',
    "$tag_device",
    ("device",),
    SITE,
)

BOARD = Board(
    uid="gampong-radio",
    title=Words("Radio and buses", "Radio dan kabel"),
    about=Words("How well devices are heard.", "Seberapa baik perangkat terdengar."),
    rows=(
        Row(
            Words("Radio", "Radio"),
            (
                _mean_by_zone(
                    "rssi_dbm",
                    Words("Signal", "Sinyal"),
                    Words("Mean of a zone's uplinks.", "Rata-rata di zona."),
                    "dBm",
                    (Step(None, BAD), Step(-115, POOR), Step(-105, GOOD)),
                ),
                _mean_by_zone(
                    "snr_db",
                    Words("Signal above noise", "Sinyal di atas derau"),
                    Words("Mean of a zone's uplinks.", "Rata-rata di zona."),
                    "dB",
                    (Step(None, BAD), Step(-10, POOR), Step(-5, GOOD)),
                ),
                _weakest("parking_spot"),
                _weakest("waste_container"),
                Panel(
                    title=Words("Uplinks that arrived, by day", "Uplink yang tiba, per hari"),
                    about=Words(
                        "By their frame counters: what the air lost, apart from what we did.",
                        "Menurut penghitung: yang hilang di udara.",
                    ),
                    look=Look.HOURS,
                    asks=(RADIO_SHARE,),
                    width=12,
                    height=8,
                    unit="percentunit",
                    interval="1d",
                    high=1,
                    empty=Words("no day counted yet", "belum ada hari yang dihitung"),
                ),
                _mean_by_zone(
                    "battery_v",
                    Words("Battery", "Baterai"),
                    Words("Mean of a zone's sensors.", "Rata-rata di zona."),
                    "volt",
                    (),
                ),
            ),
        ),
        Row(
            Words("Cables and frames", "Kabel dan bingkai"),
            (
                Panel(
                    title=Words("Frames refused", "Bingkai ditolak"),
                    about=Words(
                        "By gateway: checksum, range, no target, time-out.",
                        "Per gateway: checksum, jangkauan, tanpa sasaran, waktu habis.",
                    ),
                    look=Look.HOURS,
                    asks=(REFUSED,),
                    width=12,
                    height=8,
                    interval="10m",
                ),
                Panel(
                    title=Words("Reads that failed", "Pembacaan yang gagal"),
                    about=Words(
                        "Share of the last hour's, by gateway: above 5 % look at the cable.",
                        "Bagian dari satu jam terakhir: di atas 5 % periksa kabel.",
                    ),
                    look=Look.LINES,
                    asks=(BUS_ERRORS,),
                    width=12,
                    height=8,
                    unit="percentunit",
                    low=0,
                    interval="1m",
                    steps=(Step(None, GOOD), Step(0.01, POOR), Step(0.05, BAD)),
                    empty=Words("no gateway tells yet", "belum ada kabar"),
                ),
            ),
        ),
    ),
)
