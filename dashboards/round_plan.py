"""Today's round from a store: which bins are due, the ways between them, the plan, its sheet.

In: a store, `round.toml`'s configuration, now. Out: a `Sheet`, which prints as a list, GPX or JSON.
The search takes seconds for hundreds of bins and holds its thread: commands and processes of their
own call this, never a page's event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dashboards.analysis.round_sheet import Sheet
from dashboards.analysis.routing import Matrix, Point, Stop, Truck, plan, straight_matrix
from dashboards.collection import Collection, collection
from dashboards.round_configuration import RoundConfiguration, read_matrix, time_zone_of
from ingest.stores import Reader
from wire.configuration import ConfigurationError


async def round_plan(
    store: Reader, configuration: RoundConfiguration, now_ms: int
) -> tuple[Collection, Sheet]:
    """Who is due, and the round that visits them.

    Raises:
        StoreError: the store can't be read now.
        ConfigurationError: the file of ways can't be used.
        ModuleNotFoundError: pyvroom isn't installed.
    """
    settings, depot = configuration.round, configuration.depot
    found = await collection(store, settings, configuration.litres, now_ms)
    at = Point(depot.latitude, depot.longitude)
    trucks = [Truck(one.name, one.capacity_litres, one.trips) for one in configuration.truck]
    zone = time_zone_of(settings.time_zone, "round", "time_zone")
    sheet = Sheet(
        plan=plan(found.stops, trucks, ways(at, found.stops, settings.matrix_file)),
        depot=at,
        depot_label=depot.label,
        when=datetime.fromtimestamp(now_ms / 1000, zone).strftime("%Y-%m-%d %H:%M"),
        skipped=found.skipped,
        speed_km_h=settings.speed_km_h,
        minutes_a_stop=settings.minutes_a_stop,
    )
    return found, sheet


def ways(depot: Point, stops: Sequence[Stop], file: str) -> Matrix:
    """Metres between the depot and the stops: straight lines, or what the file says.

    Raises:
        ConfigurationError: names the file, the problem and the remedy.
    """
    if not file:
        return straight_matrix([depot, *(stop.at for stop in stops)])
    try:
        matrix = read_matrix(Path(file).read_bytes(), file)
        return matrix.among(("depot", *(stop.name for stop in stops)))
    except OSError as error:
        raise ConfigurationError(file, "", str(error), "Mend round.matrix_file") from error
    except KeyError as error:
        problem = f"no way to {error.args[0]}"
        raise ConfigurationError(file, "names", problem, "Add its row and column") from error
