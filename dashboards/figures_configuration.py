"""`figures.toml`: where the readings are, how long one may park, what the WiFi provider promised.

[store]
type = "influxdb2"
url = "http://127.0.0.1:8086"
token_file = "/etc/gampong/influxdb-read.token"
"""

from __future__ import annotations

from dashboards.round_configuration import time_zone_of
from ingest.stores.configuration import StoreSettings, check_settings
from wire.configuration import Configuration, ConfigurationError


class FiguresConfiguration(Configuration, frozen=True):
    """What `gampong figures --config` reads. `overstay_min` is how long a vehicle may stay,
    `promised` the share of a month in which visitors are to reach the internet."""

    store: StoreSettings
    time_zone: str = "Asia/Jakarta"
    overstay_min: float = 240.0
    promised: float = 0.99


def check_figures(configuration: FiguresConfiguration, source: str) -> FiguresConfiguration:
    """The configuration itself, when it can be used.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    check_settings(configuration.store, source)
    time_zone_of(configuration.time_zone, source, "time_zone")
    if not 1 <= configuration.overstay_min <= 1e5:
        problem = f"{configuration.overstay_min:g} min"
        raise ConfigurationError(source, "overstay_min", problem, "Choose 1 to 100000")
    if not 0 < configuration.promised <= 1:
        problem = f"{configuration.promised:g}"
        raise ConfigurationError(source, "promised", problem, "Write 99 % as 0.99")
    return configuration
