"""What `gampong opendata --config` reads: where data comes from, and what is given away of it.

    publisher = "Kota Banda Aceh"
    [store]
    type = "influxdb2"
    url = "http://127.0.0.1:8086"
    token_file = "/etc/gampong/influxdb-read.token"

Defaults stand here only; docs/opendata.md says what each key is for.
"""

from __future__ import annotations

import ipaddress
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboards.opendata.public import PUBLIC
from ingest.stores.configuration import StoreSettings, check_settings
from wire.configuration import Configuration, ConfigurationError, decode_toml


class OpenDataConfiguration(Configuration, frozen=True):
    """The public process's configuration.

    Args:
        publisher: whose data it is, on the page and in every answer.
        kinds: which kinds are public; an electricity meter can be one person's, so it isn't.
        people_step: counts of people are rounded to multiples of this.
        requests_a_minute: what one client address may ask for; history counts ten times.
        burst: how much of that may come at once.
        trusted_proxies: addresses whose `X-Forwarded-For` is believed.
    """

    store: StoreSettings
    host: str = "127.0.0.1"
    port: int = 8090
    publisher: str = ""
    licence: str = "CC-BY-4.0"
    licence_url: str = "https://creativecommons.org/licenses/by/4.0/"
    kinds: tuple[str, ...] = tuple(kind for kind in PUBLIC if kind != "energy_meter")
    people_step: int = 5
    requests_a_minute: int = 600
    burst: int = 120
    trusted_proxies: tuple[str, ...] = ()
    time_zone: str = "Asia/Jakarta"


def load(text: str, source: str) -> OpenDataConfiguration:
    """The configuration in `text`.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    said = decode_toml(text, OpenDataConfiguration, source)
    check_settings(said.store, source)
    for kind in said.kinds:
        if kind not in PUBLIC:
            known = ", ".join(PUBLIC)
            raise ConfigurationError(source, "kinds", f"{kind!r} isn't one", f"There are {known}")
    limits = {
        "port": (0, 65_535),
        "people_step": (2, 100),
        "requests_a_minute": (1, 1_000_000),
        "burst": (20, 1_000_000),
    }
    for key, (low, high) in limits.items():
        if not low <= getattr(said, key) <= high:
            raise ConfigurationError(
                source, key, str(getattr(said, key)), f"Choose {low} to {high}"
            )
    if not said.licence_url.startswith(("https://", "http://")):
        raise ConfigurationError(source, "licence_url", said.licence_url, "Give its https address")
    for address in said.trusted_proxies:
        try:
            ipaddress.ip_address(address)
        except ValueError as error:
            raise ConfigurationError(source, "trusted_proxies", str(error), "Name it") from error
    try:
        ZoneInfo(said.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(source, "time_zone", str(error), 'E.g. "Asia/Jakarta"') from error
    return said
