"""The gateway's TOML: who it is, what hangs on it, where it sends.

In: the text of `gateway.toml`. Out: one frozen tree, checked whole before any connection: names and
bounds here, devices, links and drivers in `edge/device_checks.py`. Defaults stand here only.
"""

from __future__ import annotations

import ipaddress
import tomllib
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from devices.driver import Driver
from devices.field_map import FieldMap
from devices.kinds import KINDS
from devices.register_map import RegisterMap
from edge.device_checks import check_devices
from edge.link_settings import LinkSettings
from edge.mounting import Bay, Container, Magnet
from wire.configuration import (
    Broker,
    Configuration,
    ConfigurationError,
    Metrics,
    decode_toml,
    listening,
)
from wire.line import NAME
from wire.messages import Place


class Gateway(Configuration, frozen=True):
    """This gateway. With TLS, `name` must be the certificate's common name."""

    name: str
    site: str
    label: str = ""
    place: Place | None = None


class OutboxSettings(Configuration, frozen=True):
    """Where readings wait, how much they may take, and how often they are sealed."""

    path: str = "/var/lib/gampong/outbox.db"
    bytes_max: int = 1024 * 1024 * 1024
    seal_interval_s: float = 60.0
    event_gather_s: float = 0.1
    event_seals_per_minute: int = 30
    journal_commit_s: float = 1.0
    keep_confirmed_days: float = 7.0
    ballast_bytes: int = 4 * 1024 * 1024


class UplinkSettings(Configuration, frozen=True):
    """How batches are sent. Times are wall seconds: they are the network's, not the city's; only
    `status_interval_s` is city time, as the watch that reads the status is.

    `interface` is the network interface with the SIM, whose bytes are counted; of `quota_mb`
    (10^6 bytes, both directions; 0: no quota) in a month that begins on `quota_day`."""

    window: int = 4
    backfill_window: int = 4
    confirm_timeout_s: float = 30.0
    nobody_listens_probe_s: float = 5.0
    retry_s_max: float = 60.0
    backfill_batches_per_s: float = 20.0
    status_interval_s: float = 60.0
    interface: str = ""
    quota_mb: int = 0
    quota_day: int = 1


class TimeSettings(Configuration, frozen=True):
    """When this machine's clock may be believed.

    `trust` is `ntp` (the system says it is synchronised, or the cloud's time agrees) or `system`
    (a machine with a clock of its own that someone else keeps right).
    """

    trust: Literal["ntp", "system"] = "ntp"


class PageSettings(Configuration, frozen=True):
    """The gateway's own page, for a technician's phone. Off while `host` is empty.

    `host` is an address of this machine, or 0.0.0.0 for all of them. `pin_file` is made by
    `gampong edge pin`. `name` is what the page may be called by beside its address.
    """

    host: str = ""
    port: int = 8080
    name: str = "gampong.local"
    pin_file: str = "/etc/gampong/page.pin"


class Device(Configuration, frozen=True):
    """One device. `name` is the bay's or the bin's, not the sensor's: a replaced sensor keeps it.

    `driver` is a file of `devices/`, or a `[register_map]` or `[field_map]` of this configuration.
    `unit` is a Modbus address, `dev_eui` a LoRaWAN identity; each link type needs its own. `node`
    is which of many sensors behind one Modbus address, for drivers with a stride.
    `poll_interval_s` and `heartbeat_s` are city seconds. `dead_band` is the change of the kind's
    main field under which a polled reading is suppressed until the heartbeat; None takes the
    kind's default. `assumed_air_c` is for an ultrasonic sensor that doesn't measure how fast sound
    is: the air's temperature that its sheet reckons with. `topic` is where a device without a
    network server publishes; `match` tells devices on one topic apart: a value's place in the
    message, and the text that it has. `sensor` is the serial number of what hangs there, or any
    name for it: another one means that what was learnt of the one before is forgotten.
    """

    name: str
    driver: str
    link: str
    zone: str = "main"
    label: str = ""
    place: Place | None = None
    unit: int | None = None
    node: int = 0
    dev_eui: str = ""
    channel: str = ""
    topic: str = ""
    match: dict[str, str] = msgspec.field(default_factory=dict)
    poll_interval_s: float = 10.0
    heartbeat_s: float | None = None
    dead_band: float | None = None
    container: Container | None = None
    bay: Bay | None = None
    magnet: Magnet | None = None
    assumed_air_c: float | None = None
    maintenance: bool = False
    maintenance_until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    sensor: str = ""


class CloudBroker(Broker, frozen=True):
    """The uplink's: above a seal interval, so that batches and confirmations keep it alive and a
    mobile link pays for no ping."""

    keepalive_s: int = 75


class RemoteSettings(Configuration, frozen=True):
    """What the cloud may ask of this gateway, and for how long a configuration from afar is tried.

    `accept` is `all`, `commands` (no configuration) or `nothing`. `trial_s` are wall seconds within
    which a batch that was sealed with it has to be confirmed; where sensors speak by themselves
    once an hour, give it two hours.
    """

    accept: Literal["all", "commands", "nothing"] = "all"
    trial_s: float = 300.0


class EdgeConfiguration(Configuration, frozen=True):
    """The whole of `gateway.toml`."""

    gateway: Gateway
    broker: CloudBroker = CloudBroker()
    outbox: OutboxSettings = OutboxSettings()
    uplink: UplinkSettings = UplinkSettings()
    time: TimeSettings = TimeSettings()
    metrics: Metrics = Metrics()
    remote: RemoteSettings = RemoteSettings()
    page: PageSettings = PageSettings()
    link: tuple[LinkSettings, ...] = ()
    device: tuple[Device, ...] = ()
    register_map: dict[str, RegisterMap] = msgspec.field(default_factory=dict)
    field_map: dict[str, FieldMap] = msgspec.field(default_factory=dict)


_DEVICES_MAX = 2000


def load_configuration(text: str, source: str) -> EdgeConfiguration:
    """The checked configuration.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    try:
        configuration = decode_toml(text, EdgeConfiguration, source)
    except ConfigurationError as error:
        raise _with_table_named(error, text) from error
    _check_names(configuration, source)
    _check_bounds(configuration, source)
    check_devices(configuration, source)
    listening(configuration.metrics, source)
    _check_page(configuration.page, source)
    return configuration


def heartbeat_s(device: Device, driver: Driver) -> float:
    """How often the device is expected, in city seconds: its own setting or the driver's."""
    return driver.heartbeat_s if device.heartbeat_s is None else device.heartbeat_s


def expiry_s(device: Device, driver: Driver, seal_interval_s: float) -> float:
    """The age at which the device's state becomes unknown (the promise's fourth clause)."""
    return max(2.5 * heartbeat_s(device, driver) + seal_interval_s, KINDS[driver.kind].expiry_s)


def _with_table_named(error: ConfigurationError, text: str) -> ConfigurationError:
    """The same error with the table's name where msgspec says `register_map[...]`."""
    for key, type_ in (("register_map", RegisterMap), ("field_map", FieldMap)):
        if error.key.startswith(f"{key}[...]"):
            for name, table in tomllib.loads(text)[key].items():
                try:
                    msgspec.convert(table, type_, strict=True)
                except msgspec.ValidationError:
                    named = error.key.replace("[...]", f".{name}", 1)
                    return ConfigurationError(error.source, named, error.problem, error.remedy)
    return error


def _check_names(configuration: EdgeConfiguration, source: str) -> None:
    remedy = "Use lower-case letters, digits, - and _, at most 64, beginning with one of the first"
    named = [
        ("gateway.name", configuration.gateway.name),
        ("gateway.site", configuration.gateway.site),
        *((f"link[{i}].name", link.name) for i, link in enumerate(configuration.link)),
        *((f"device[{i}].name", device.name) for i, device in enumerate(configuration.device)),
        *((f"device[{i}].zone", device.zone) for i, device in enumerate(configuration.device)),
    ]
    for key, name in named:
        if NAME.fullmatch(name) is None:
            raise ConfigurationError(source, key, f"{name!r} isn't a name", remedy)


def _check_page(page: PageSettings, source: str) -> None:
    try:
        if page.host:
            ipaddress.ip_address(page.host)
    except ValueError as error:
        problem, remedy = f"{page.host!r} isn't an address", "Give 0.0.0.0 or one of this machine's"
        raise ConfigurationError(source, "page.host", problem, remedy) from error


def _check_bounds(configuration: EdgeConfiguration, source: str) -> None:
    outbox, uplink = configuration.outbox, configuration.uplink
    bounds = [
        ("outbox.bytes_max", outbox.bytes_max, 1024 * 1024, 2**50),
        ("outbox.seal_interval_s", outbox.seal_interval_s, 1, 3600),
        ("outbox.event_gather_s", outbox.event_gather_s, 0, 10),
        ("outbox.event_seals_per_minute", outbox.event_seals_per_minute, 1, 600),
        ("outbox.journal_commit_s", outbox.journal_commit_s, 0, 1),
        ("outbox.keep_confirmed_days", outbox.keep_confirmed_days, 0, 366),
        ("outbox.ballast_bytes", outbox.ballast_bytes, 0, 2**30),
        ("uplink.window", uplink.window, 1, 16),
        ("uplink.backfill_window", uplink.backfill_window, 1, 16),
        ("uplink.confirm_timeout_s", uplink.confirm_timeout_s, 1, 600),
        ("uplink.nobody_listens_probe_s", uplink.nobody_listens_probe_s, 0.1, 600),
        ("uplink.retry_s_max", uplink.retry_s_max, 1, 3600),
        ("uplink.backfill_batches_per_s", uplink.backfill_batches_per_s, 0.01, 1000),
        ("uplink.status_interval_s", uplink.status_interval_s, 1, 3600),
        ("uplink.quota_mb", uplink.quota_mb, 0, 10_000_000),
        ("uplink.quota_day", uplink.quota_day, 1, 31),
        ("remote.trial_s", configuration.remote.trial_s, 1, 86_400),
        ("page.port", configuration.page.port, 1, 65_535),
        ("device", len(configuration.device), 0, _DEVICES_MAX),
    ]
    for key, value, low, high in bounds:
        if not low <= value <= high:
            raise ConfigurationError(source, key, f"{value} not in {low}..{high}", "Choose within")
