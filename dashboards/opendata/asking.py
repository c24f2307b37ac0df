"""What a viewer may ask, as closed sets and bounded numbers; anything else is a 422 that says what.

Times are ISO 8601 with their offset (`2026-08-01T00:00:00+07:00`, `…Z`), half-open ranges.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from dashboards.opendata.entities import EntityType
from dashboards.opendata.formats import Format
from dashboards.opendata.history import ROWS_MAX, STEPS, Question
from dashboards.opendata.records import utc

NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_TIME = (
    r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
)


class Kind(StrEnum):
    """The kinds of `PUBLIC`, for the API's description; a test compares them."""

    PARKING_SPOT = "parking_spot"
    WASTE_CONTAINER = "waste_container"
    WIFI_ACCESS_POINT = "wifi_access_point"
    PEOPLE_COUNTER = "people_counter"
    TRAFFIC_COUNTER = "traffic_counter"
    ENVIRONMENT = "environment"
    ENERGY_METER = "energy_meter"
    WATER_LEVEL = "water_level"
    SOIL_MOISTURE = "soil_moisture"


class StepName(StrEnum):
    """The steps of `STEPS`."""

    READING = "reading"
    HOUR = "hour"
    DAY = "day"


Name = Annotated[str, Field(pattern=NAME, max_length=64)]
Time = Annotated[str, Field(pattern=_TIME, max_length=32)]


def _whole(text: object) -> object:
    """`+5`, `5.0` and `1_000` aren't what the description calls an integer."""
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,7}", text):
        raise ValueError("a whole number is needed")
    return text


Limit = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=ROWS_MAX)]
Offset = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=1_000_000)]


class AskedError(Exception):
    """A question that can't be answered; the text says why and what to ask."""


class _Closed(BaseModel):
    """A misspelt parameter is told, not ignored."""

    model_config = ConfigDict(extra="forbid")


class StateQuery(_Closed):
    """Which devices, a page of them, and how written."""

    kind: Kind | None = Field(None, description="only devices of this kind")
    site: Name | None = Field(None, description="only this site")
    zone: Name | None = Field(None, description="only this zone")
    after: Name | None = Field(None, description="devices after this name: the next page")
    limit: Limit = Field(500, description="devices a page")
    format: Format = Field(Format.JSON, description="how it is written")


class ZonesQuery(_Closed):
    """Which zones, and how written."""

    kind: Kind | None = Field(None, description="only zones of this kind")
    site: Name | None = Field(None, description="only this site")
    format: Format = Field(Format.JSON, description="how it is written")


class HistoryQuery(_Closed):
    """Which rows. Readings need a device, a zone or a site."""

    step: StepName = Field(StepName.HOUR, description="what a row is of")
    device: Name | None = Field(None, description="only this device")
    site: Name | None = Field(None, description="only this site")
    zone: Name | None = Field(None, description="only this zone")
    start: Time | None = Field(
        None, description="from (included); an hour, day or month before stop"
    )
    stop: Time | None = Field(None, description="to (excluded); now")
    limit: Limit = Field(500, description="rows a page; the newest come first, a page is by time")
    format: Format = Field(Format.JSON, description="how it is written")


class EntitiesQuery(_Closed):
    """Which entities, a page of them."""

    type: EntityType = Field(description="the Smart Data Model")
    limit: Limit = Field(100, description="entities a page")
    offset: Offset = Field(0, description="how many to leave out")


class NoQuery(_Closed):
    """No parameters."""


def question(kind: str, asked: HistoryQuery, now_ms: int) -> Question:
    """The question for the store.

    Raises:
        AskedError: names the parameter, and what would be right.
    """
    step = STEPS[asked.step]
    stop_ms = _ms("stop", asked.stop) if asked.stop else now_ms
    start_ms = _ms("start", asked.start) if asked.start else max(0, stop_ms - step.range_ms)
    if start_ms > stop_ms:
        raise AskedError("start: it is after stop")
    if stop_ms - start_ms > step.range_ms_max:
        days = step.range_ms_max // 86_400_000
        raise AskedError(f"start: at most {days} days a question at this step; ask in pieces")
    tags = {"device": asked.device, "site": asked.site, "zone": asked.zone}
    where: dict[str, tuple[str, ...]] = {
        tag: (value,) for tag, value in tags.items() if value is not None
    }
    if asked.step is StepName.READING and not where:
        raise AskedError("step: readings are of one device, zone or site: name it")
    return Question(
        kind=kind, step=asked.step, start_ms=start_ms, stop_ms=stop_ms, limit=asked.limit,
        where=where,
    )  # fmt: skip


def said(asked: Question) -> dict[str, object]:
    """The question as the answer repeats it."""
    return {
        "kind": asked.kind,
        "step": asked.step,
        "start": utc(asked.start_ms),
        "stop": utc(asked.stop_ms),
    }


def _ms(name: str, text: str) -> int:
    try:
        when = datetime.fromisoformat(text)
        return round(when.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise AskedError(f"{name}: no such day") from error
