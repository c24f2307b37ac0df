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


class CkanSettings(Configuration, frozen=True):
    """A CKAN whose datastore gets the hours (`gampong opendata push`).

    Args:
        url: the portal's address.
        dataset: name or id of the dataset; its tables are made, it isn't.
        token_file: an API token of somebody who may edit it.
        first_days: how far back a table that is empty begins.
        again_hours: how many of the newest hours are written again each time, for late data.
        rows_per_call: at most so many records a call.
        timeout_s: for one call.
        ca_file: PEM, where the system doesn't trust the portal's certificate.
    """

    url: str
    dataset: str
    token_file: str
    first_days: int = 31
    again_hours: int = 6
    rows_per_call: int = 1000
    timeout_s: float = 60.0
    ca_file: str = ""


class OpenDataConfiguration(Configuration, frozen=True):
    """The public process's configuration.

    Args:
        publisher: whose data it is, on the page and in every answer.
        kinds: which kinds are public; an electricity meter can be one person's, so it isn't.
        people_step: counts of people are rounded to multiples of this.
        requests_a_minute: what one client address may ask for; history counts ten times.
        burst: how much of that may come at once.
        trusted_proxies: addresses whose `X-Forwarded-For` is believed.
        ckan: where `push` writes to.
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
    ckan: CkanSettings | None = None


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
    except (ZoneInfoNotFoundError, ValueError, OSError, RecursionError) as error:
        raise ConfigurationError(source, "time_zone", str(error), 'E.g. "Asia/Jakarta"') from error
    if said.ckan:
        _check_ckan(said.ckan, source)
    return said


def _check_ckan(ckan: CkanSettings, source: str) -> None:
    if not ckan.url.startswith(("https://", "http://")):
        raise ConfigurationError(source, "ckan.url", ckan.url, "Give its https address")
    if not ckan.dataset:
        raise ConfigurationError(source, "ckan.dataset", "empty", "Name the dataset")
    limits = {
        "first_days": (1, 3660),
        "again_hours": (0, 24 * 31),
        "rows_per_call": (1, 10_000),
        "timeout_s": (1, 600),
    }
    for key, (low, high) in limits.items():
        value = getattr(ckan, key)
        if not low <= value <= high:
            raise ConfigurationError(source, f"ckan.{key}", f"{value:g}", f"Choose {low} to {high}")
