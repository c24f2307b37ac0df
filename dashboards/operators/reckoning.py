"""One long question, answered in a process of its own: `python -m dashboards.operators.reckoning`.

In: a `Question` as JSON on stdin. Out: an `Answer` as JSON on stdout. Four weeks of readings or a
search for the shortest way take seconds of a core; asked here, no viewer's page stands still
meanwhile, and the memory is given back. It reads, writes nothing, and is nice to its neighbours.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from dashboards.analysis.round_sheet import as_gpx, as_json
from dashboards.deposits import deposits
from dashboards.operators.parking_days import MONTH_DAYS, parking_days
from dashboards.operators.waste_days import waste_days
from dashboards.readings import DAY_MS, Range
from dashboards.round_configuration import RoundConfiguration, RoundSettings, time_zone_of
from dashboards.round_plan import round_plan
from dashboards.store_file import open_source
from ingest.stores import Reader, StoreError
from ingest.stores.configuration import StoreSettings
from wire.clock import SystemClock
from wire.configuration import ConfigurationError

NICE = 10


class ParkingQuestion(msgspec.Struct, frozen=True, tag="parking"):
    """`ParkingDays` up to now."""

    now_ms: int
    time_zone: str
    overstay_min: float


class WasteQuestion(msgspec.Struct, frozen=True, tag="waste"):
    """`WasteDays` up to now."""

    now_ms: int
    time_zone: str
    settings: RoundSettings
    litres: dict[str, float]


class RoundQuestion(msgspec.Struct, frozen=True, tag="round"):
    """The round for these trucks: `Round`."""

    now_ms: int
    configuration: RoundConfiguration


Question = ParkingQuestion | WasteQuestion | RoundQuestion


class Asked(msgspec.Struct, frozen=True):
    """What stands on stdin."""

    store: StoreSettings
    question: Question


class Round(msgspec.Struct, frozen=True):
    """A planned round: `sheet` is that of `as_json`, with the depot and every stop's place."""

    now_ms: int
    bins: int
    sheet: msgspec.Raw
    gpx: str


class Answer(msgspec.Struct, frozen=True):
    """The result as JSON, or why there is none: `store_away` when the store can't be read."""

    result: msgspec.Raw = msgspec.Raw(b"null")
    why: str = ""
    store_away: bool = False


async def answer(store: Reader, question: Question) -> bytes:
    """The result as JSON.

    Raises:
        StoreError: the store can't be read now.
        ConfigurationError, ModuleNotFoundError: the round can't be planned.
    """
    now_ms = question.now_ms
    if isinstance(question, RoundQuestion):
        found, sheet = await round_plan(store, question.configuration, now_ms)
        planned = Round(now_ms, found.bins, msgspec.Raw(as_json(sheet).encode()), as_gpx(sheet))
        return msgspec.json.encode(planned)
    zone = time_zone_of(question.time_zone, "page", "time_zone")
    if isinstance(question, ParkingQuestion):
        return msgspec.json.encode(await parking_days(store, now_ms, zone, question.overstay_min))
    asked = Range(max(0, now_ms - MONTH_DAYS * DAY_MS), now_ms, zone)
    days = await waste_days(store, question.settings, question.litres, asked)
    bank = await deposits(store, asked.start_ms, now_ms + 1, zone)
    return msgspec.json.encode(msgspec.structs.replace(days, bank=bank))


async def _answered(asked: Asked) -> Answer:
    try:
        async with open_source(asked.store, SystemClock()) as store:
            return Answer(msgspec.Raw(await answer(store, asked.question)))
    except StoreError as error:
        return Answer(why=str(error), store_away=True)
    except ConfigurationError as error:
        return Answer(why=str(error))
    except ModuleNotFoundError as error:
        return Answer(why=f"no {error.name}: pip install 'gampong[round]'")


def main() -> int:
    """Read, reckon, write."""
    os.nice(NICE)
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_answered(asked))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
