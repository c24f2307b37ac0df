"""`round.toml`: where the readings are, the depot, the trucks at hand, what a bin holds.

    [store]
    type = "influxdb2"
    url = "http://127.0.0.1:8086"
    token_file = "/etc/gampong/influxdb-read.token"

    [depot]
    latitude = 5.5836
    longitude = 95.3147

    [[truck]]
    name = "BL 8123 AH"
    capacity_litres = 6000

Defaults stand here only. `check_round` finds what can be found before any connection.
"""

from __future__ import annotations

import math
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from ingest.stores.configuration import StoreSettings, check_settings
from wire.configuration import Configuration, ConfigurationError
from wire.malformed import MALFORMED

TRIPS_MAX = 20
TRUCKS_MAX = 100


class Unknown(StrEnum):
    """What happens to a bin that nobody has heard of for too long."""

    LEAVE = "leave"  # named on the sheet, not visited
    VISIT = "visit"  # visited as if it were full


class Depot(Configuration, frozen=True):
    """Where every trip begins and ends, WGS 84 degrees."""

    latitude: float
    longitude: float
    label: str = "Depot"


class TruckSettings(Configuration, frozen=True):
    """A truck at hand. `capacity_litres` is of loose waste, as it lies in the bins: a press that
    makes three litres one counts threefold."""

    name: str
    capacity_litres: float
    trips: int = 1


class RoundSettings(Configuration, frozen=True):
    """What counts as due, and how long things take."""

    site: str = ""
    hours: float = 24.0
    unknown: Unknown = Unknown.LEAVE
    time_zone: str = "Asia/Jakarta"
    bin_litres: float = 240.0
    matrix_file: str = ""
    speed_km_h: float = 20.0
    minutes_a_stop: float = 3.0


class RoundConfiguration(Configuration, frozen=True):
    """What `gampong round --config` reads. `litres` is by device: bins that aren't `bin_litres`."""

    store: StoreSettings
    depot: Depot
    truck: tuple[TruckSettings, ...]
    round: RoundSettings = RoundSettings()
    litres: dict[str, float] = msgspec.field(default_factory=dict)


class MatrixFile(Configuration, frozen=True):
    """Ways given in a file (JSON): `metres[i][j]` leads from `names[i]` to `names[j]`; the depot is
    called `depot`, bins by their device's name."""

    names: tuple[str, ...]
    metres: tuple[tuple[float, ...], ...]

    def among(self, wanted: tuple[str, ...]) -> list[list[float]]:
        """The part of it for these names, in this order.

        Raises:
            KeyError: a name that it doesn't have.
        """
        rows = {name: nth for nth, name in enumerate(self.names)}
        return [[self.metres[rows[start]][rows[end]] for end in wanted] for start in wanted]


def check_round(configuration: RoundConfiguration, source: str) -> RoundConfiguration:
    """The configuration itself, when it can be used.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    check_settings(configuration.store, source)
    depot, settings = configuration.depot, configuration.round
    if not (abs(depot.latitude) <= 90 and abs(depot.longitude) <= 180):
        at = f"{depot.latitude}, {depot.longitude}"
        raise ConfigurationError(source, "depot", f"{at} is nowhere", "Give WGS 84 degrees")
    _check_trucks(configuration.truck, source)
    time_zone_of(settings.time_zone, source, "round.time_zone")
    positive = {
        "round.hours": settings.hours,
        "round.bin_litres": settings.bin_litres,
        "round.speed_km_h": settings.speed_km_h,
        **{f"litres.{name}": litres for name, litres in configuration.litres.items()},
    }
    for key, value in positive.items():
        if not 0 < value < 1e6:
            raise ConfigurationError(source, key, f"{value:g}", "Choose more than 0")
    if not 0 <= settings.minutes_a_stop < 1e4:
        raise ConfigurationError(
            source, "round.minutes_a_stop", f"{settings.minutes_a_stop:g}", "Choose 0 or more"
        )
    return configuration


def read_matrix(text: bytes, source: str) -> MatrixFile:
    """A matrix that is whole.

    Raises:
        ConfigurationError: names the file, the problem and the remedy.
    """
    remedy = 'Write {"names": ["depot", "bin-01", …], "metres": [[0, 120, …], …]}'
    try:
        file = msgspec.json.decode(text, type=MatrixFile)
    except MALFORMED as error:
        raise ConfigurationError(source, "", str(error), remedy) from error
    size = len(file.names)
    if len(file.metres) != size or any(len(row) != size for row in file.metres):
        raise ConfigurationError(source, "metres", f"isn't {size} × {size}, as names says", remedy)
    if len(set(file.names)) < size or "depot" not in file.names:
        raise ConfigurationError(source, "names", "has one twice, or no depot", remedy)
    if any(not (0 <= metres < math.inf) for row in file.metres for metres in row):
        raise ConfigurationError(source, "metres", "a way isn't 0 or more metres", remedy)
    return file


def time_zone_of(name: str, source: str, key: str) -> ZoneInfo:
    """The zone of that name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, RecursionError) as error:
        raise ConfigurationError(
            source, key, f"no time zone {name!r}", "Write it as Asia/Jakarta"
        ) from error


def _check_trucks(trucks: tuple[TruckSettings, ...], source: str) -> None:
    if not 1 <= len(trucks) <= TRUCKS_MAX:
        raise ConfigurationError(source, "truck", f"{len(trucks)} trucks", "Name 1 to 100")
    for truck in trucks:
        if not 1 <= truck.capacity_litres <= 1e6:
            problem = f"{truck.name} holds {truck.capacity_litres:g} l"
            raise ConfigurationError(source, "truck.capacity_litres", problem, "Choose 1 to 1e6")
        if not 1 <= truck.trips <= TRIPS_MAX:
            problem = f"{truck.name} makes {truck.trips}"
            raise ConfigurationError(source, "truck.trips", problem, f"Choose 1 to {TRIPS_MAX}")
    if len({truck.name for truck in trucks}) < len(trucks):
        raise ConfigurationError(source, "truck.name", "one name twice", "Give each its own")
