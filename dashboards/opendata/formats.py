"""The same records as JSON, CSV and GeoJSON. Pure.

CSV is RFC 4180 with a header; a text that a spreadsheet would take for a formula gets an apostrophe
before it. GeoJSON is RFC 7946: longitude first, `geometry` null where the place isn't known.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from devices.reading import Value


class Format(StrEnum):
    """What a viewer may ask for."""

    JSON = "json"
    CSV = "csv"
    GEOJSON = "geojson"


MEDIA = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.GEOJSON: "application/geo+json",
}

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Table(msgspec.Struct, frozen=True):
    """Records with what is said about all of them.

    Args:
        about: licence, publisher and the like; in JSON and GeoJSON beside the records.
        name: what the list is called in JSON.
        columns: CSV's, of the record itself.
        fields: CSV's, of its `fields` or `states`.
        places: device → (longitude, latitude), for records that don't bring their own.
    """

    about: Mapping[str, object]
    name: str
    records: Sequence[msgspec.Struct]
    columns: tuple[str, ...]
    fields: tuple[str, ...] = ()
    inner: str = "fields"
    places: Mapping[str, tuple[float, float]] = {}


def written(table: Table, format_: Format) -> bytes:
    """The table's bytes."""
    match format_:
        case Format.JSON:
            return msgspec.json.encode({**table.about, table.name: table.records})
        case Format.CSV:
            return _csv(table)
    features = [_feature(record, table.places) for record in table.records]
    return msgspec.json.encode({"type": "FeatureCollection", **table.about, "features": features})


def _csv(table: Table) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow((*table.columns, *table.fields))
    for record in table.records:
        inner: Mapping[str, Value] = getattr(record, table.inner)
        row = [getattr(record, name) for name in table.columns]
        writer.writerow(cells([*row, *(inner.get(name) for name in table.fields)]))
    return text.getvalue().encode()


def cells(values: Iterable[object]) -> list[object]:
    """A row that no spreadsheet takes for a formula."""
    return [
        f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
        for value in values
    ]


def _feature(record: msgspec.Struct, places: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    said = msgspec.to_builtins(record)
    latitude, longitude = said.pop("latitude", None), said.pop("longitude", None)
    place = places.get(said.get("device", ""))
    if latitude is not None and longitude is not None:
        place = longitude, latitude
    geometry = {"type": "Point", "coordinates": list(place)} if place else None
    return {"type": "Feature", "geometry": geometry, "properties": said}
