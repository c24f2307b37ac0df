"""Panels that several dashboards have, each for its kind."""

from __future__ import annotations

from dashboards.grafana.ask import (
    LISTED,
    PLACE,
    devices_listed,
    of_kind,
    over_time,
    zones_now,
)
from dashboards.grafana.palette import state_colour, state_names
from dashboards.grafana.panel import Join, Layer, Look, Panel, Words
from ingest.stores import Bucket
from ingest.stores.zone_kinds import ZONE_STATES


def state_counts(kind: str, title: Words, width: int = 24) -> Panel:
    """How many devices show what, one number a state, `unknown` among them."""
    states = ZONE_STATES[kind]
    return Panel(
        title=title,
        about=Words(
            "As the page shows them. Unknown: no reading that is fresh enough.",
            "Seperti di halaman kota. Tidak diketahui: tidak ada bacaan yang cukup baru.",
        ),
        look=Look.NUMBER,
        asks=(zones_now(kind, *states),),
        width=width,
        height=4,
        names=state_names(*states),
        colours={state: state_colour(state) for state in states},
    )


def state_lines(title: Words, kind: str, width: int = 24, height: int = 10) -> Panel:
    """What each device of a kind has shown, as bars of colour."""
    ask = over_time(
        Bucket.HEALTH,
        "device_health",
        'last("shows"::field)',
        "$tag_device",
        ("device",),
        f"{PLACE} AND {of_kind(kind)}",
    )
    return Panel(
        title=title,
        about=Words(
            "Minute by minute, twenty to a page; choose a zone for fewer.",
            "Tiap menit, dua puluh sehalaman; pilih zona agar lebih sedikit.",
        ),
        look=Look.STATES,
        asks=(ask,),
        width=width,
        height=height,
        interval="1m",
        states=ZONE_STATES[kind],
    )


def device_map(kind: str, title: Words, width: int, height: int) -> Panel:
    """Each device of the chosen site at its place, coloured by what it shows."""
    where = of_kind(kind)
    registry, health = "device_registry", "device_health"
    return Panel(
        title=title,
        about=Words(
            "Choose a site: thousands of markers are slow in any browser.",
            "Pilih lokasi: ribuan penanda lambat di peramban mana pun.",
        ),
        look=Look.MAP,
        asks=(
            devices_listed(
                Bucket.HEALTH, registry, ("label", "latitude", "longitude"), LISTED, where
            ),
            devices_listed(Bucket.HEALTH, health, ("shows", "age_s"), where=where),
        ),
        width=width,
        height=height,
        states=ZONE_STATES[kind],
        units={"age_s": "s"},
        join=Join(
            by="device",
            columns={
                "device": Words("device", "perangkat"),
                "label": Words("label", "nama"),
                "shows": Words("shows", "keadaan"),
                "age_s": Words("age", "umur"),
                "latitude": Words("latitude", "lintang"),
                "longitude": Words("longitude", "bujur"),
            },
        ),
        layers=(Layer(0, title, "shows"),),
    )


def device_table(
    kind: str,
    title: Words,
    fields: dict[str, Words],
    width: int,
    height: int,
    sort: str,
    *,
    descending: bool = True,
) -> Panel:
    """Each device of the chosen place: what it is called, shows, last said, and how old that is."""
    where = of_kind(kind)
    labels = devices_listed(
        Bucket.HEALTH, "device_registry", ("label",), LISTED, where, ("device", "zone")
    )
    health = devices_listed(
        Bucket.HEALTH, "device_health", ("shows", "state", "age_s"), where=where
    )
    newest = devices_listed(Bucket.CITY, kind, tuple(fields), LISTED)
    return Panel(
        title=title,
        about=Words(
            "Values are the newest of two hours, however old: believe what `shows` says.",
            "Nilai terbaru dalam dua jam, berapa pun umurnya: percaya pada kolom keadaan.",
        ),
        look=Look.TABLE,
        asks=(labels, health, newest),
        width=width,
        height=height,
        states=ZONE_STATES[kind],
        units={"age_s": "s"},
        join=Join(
            by="device",
            columns={
                "device": Words("device", "perangkat"),
                "label": Words("label", "nama"),
                "zone": Words("zone", "zona"),
                "shows": Words("shows", "keadaan"),
                "state": Words("heard", "kabar"),
                "age_s": Words("age", "umur"),
                **fields,
            },
            sort=sort,
            descending=descending,
        ),
        empty=Words("no device here", "tidak ada perangkat di sini"),
    )
