"""The gateway's TOML: who it is, what hangs on it, where it sends.

In: the text of `gateway.toml`. Out: one frozen tree, checked whole before any connection: names,
references between devices and links, drivers, ports used twice. Defaults stand here only.
"""

from __future__ import annotations

from typing import Literal

from devices.driver import (
    Driver,
    HotspotLink,
    LorawanLink,
    ModbusLink,
    UartLink,
    UnknownDriver,
    driver_names,
    load_driver,
)
from devices.kinds import KINDS
from edge.link_settings import ChirpStack, Hotspot, LinkSettings, ModbusPort, UartPort
from wire.configuration import Broker, Configuration, ConfigurationError, decode_toml
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
    `status_interval_s` is city time, as the watch that reads the status is."""

    window: int = 4
    backfill_window: int = 4
    confirm_timeout_s: float = 30.0
    nobody_listens_probe_s: float = 5.0
    retry_s_max: float = 60.0
    backfill_batches_per_s: float = 20.0
    status_interval_s: float = 60.0


class TimeSettings(Configuration, frozen=True):
    """When this machine's clock may be believed.

    `trust` is `ntp` (the system says it is synchronised, or the cloud's time agrees) or `system`
    (a machine with a clock of its own that someone else keeps right).
    """

    trust: Literal["ntp", "system"] = "ntp"


class Container(Configuration, frozen=True):
    """A bin's geometry as the sensor sees it: distance when empty and when full."""

    empty_mm: float
    full_mm: float


class Bay(Configuration, frozen=True):
    """How distance becomes occupied: below `occupied_below_mm`, free again above it plus
    `hysteresis_mm`, and only after `debounce` equal judgements in a row."""

    occupied_below_mm: float
    hysteresis_mm: float = 100.0
    debounce: int = 2


class Device(Configuration, frozen=True):
    """One device. `name` is the bay's or the bin's, not the sensor's: a replaced sensor keeps it.

    `unit` is a Modbus address, `dev_eui` a LoRaWAN identity; each link type needs its own.
    `poll_interval_s` and `heartbeat_s` are city seconds. `dead_band` is the change of the kind's
    main field under which a polled reading is suppressed until the heartbeat; None takes the
    kind's default.
    """

    name: str
    driver: str
    link: str
    zone: str = "main"
    label: str = ""
    place: Place | None = None
    unit: int | None = None
    dev_eui: str = ""
    channel: str = ""
    poll_interval_s: float = 10.0
    heartbeat_s: float | None = None
    dead_band: float | None = None
    container: Container | None = None
    bay: Bay | None = None
    maintenance: bool = False


class CloudBroker(Broker, frozen=True):
    """The uplink's: above a seal interval, so that batches and confirmations keep it alive and a
    mobile link pays for no ping."""

    keepalive_s: int = 75


class EdgeConfiguration(Configuration, frozen=True):
    """The whole of `gateway.toml`."""

    gateway: Gateway
    broker: CloudBroker = CloudBroker()
    outbox: OutboxSettings = OutboxSettings()
    uplink: UplinkSettings = UplinkSettings()
    time: TimeSettings = TimeSettings()
    link: tuple[LinkSettings, ...] = ()
    device: tuple[Device, ...] = ()


_LINKS_BY_DRIVER: dict[type, type] = {
    UartLink: UartPort,
    ModbusLink: ModbusPort,
    LorawanLink: ChirpStack,
    HotspotLink: Hotspot,
}
_DEVICES_MAX = 2000


def load_configuration(text: str, source: str) -> EdgeConfiguration:
    """The checked configuration.

    Raises:
        ConfigurationError: names the file, the key and the remedy.
    """
    configuration = decode_toml(text, EdgeConfiguration, source)
    _check_names(configuration, source)
    _check_bounds(configuration, source)
    links = {link.name: link for link in configuration.link}
    for index, device in enumerate(configuration.device):
        _check_device(device, links, f"device[{index}] ({device.name})", source)
    _check_identities(configuration, source)
    return configuration


def heartbeat_s(device: Device, driver: Driver) -> float:
    """How often the device is expected, in city seconds: its own setting or the driver's."""
    return driver.heartbeat_s if device.heartbeat_s is None else device.heartbeat_s


def expiry_s(device: Device, driver: Driver, seal_interval_s: float) -> float:
    """The age at which the device's state becomes unknown (the promise's fourth clause)."""
    return max(2.5 * heartbeat_s(device, driver) + seal_interval_s, KINDS[driver.kind].expiry_s)


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
        ("device", len(configuration.device), 0, _DEVICES_MAX),
    ]
    for key, value, low, high in bounds:
        if not low <= value <= high:
            raise ConfigurationError(source, key, f"{value} not in {low}..{high}", "Choose within")


def _check_device(device: Device, links: dict[str, LinkSettings], key: str, source: str) -> None:
    try:
        driver = load_driver(device.driver)
    except UnknownDriver as error:
        remedy = f"Take one of: {', '.join(driver_names())}"
        raise ConfigurationError(source, f"{key}.driver", "no such driver", remedy) from error
    link = links.get(device.link)
    needed = _LINKS_BY_DRIVER[type(driver.link)]
    if link is None or not isinstance(link, needed):
        kind = needed.__struct_config__.tag  # type: ignore[attr-defined]
        remedy = f"Name a [[link]] of type {kind!r}; there are: {', '.join(links) or 'none'}"
        raise ConfigurationError(source, f"{key}.link", f"{device.link!r} doesn't fit", remedy)
    if isinstance(link, ModbusPort) and not 1 <= (device.unit or 0) <= 247:
        raise ConfigurationError(source, f"{key}.unit", "needed", "Give the address, 1 to 247")
    if isinstance(link, ChirpStack) and not _is_dev_eui(device.dev_eui):
        raise ConfigurationError(
            source, f"{key}.dev_eui", "needed", "Give 16 lower-case hex digits"
        )
    if not 0.05 <= device.poll_interval_s <= 86_400:
        remedy = "Choose 0.05 to 86400 seconds"
        raise ConfigurationError(source, f"{key}.poll_interval_s", "out of bounds", remedy)
    if device.container and not 0 <= device.container.full_mm < device.container.empty_mm:
        remedy = "full_mm is the shorter distance (waste near the sensor), empty_mm the longer"
        raise ConfigurationError(source, f"{key}.container", "full_mm not below empty_mm", remedy)


def _is_dev_eui(text: str) -> bool:
    return len(text) == 16 and all(c in "0123456789abcdef" for c in text)


def _check_identities(configuration: EdgeConfiguration, source: str) -> None:
    """Nothing twice: link names, device names, ports, addresses on a bus, LoRaWAN identities."""
    ports = [("port", link.port) for link in configuration.link if hasattr(link, "port")]
    seen: set[tuple[str, ...]] = set()
    identities: list[tuple[str, ...]] = [
        *(("link", link.name) for link in configuration.link),
        *ports,
        *(("device", device.name) for device in configuration.device),
        *(("unit", d.link, str(d.unit)) for d in configuration.device if d.unit is not None),
        *(("dev_eui", d.dev_eui, d.channel) for d in configuration.device if d.dev_eui),
    ]
    for identity in identities:
        if identity in seen:
            remedy = "Each may stand once"
            raise ConfigurationError(source, identity[0], f"{identity[-1]!r} twice", remedy)
        seen.add(identity)
    single = {link.name for link in configuration.link if isinstance(link, UartPort | Hotspot)}
    users = [device.link for device in configuration.device if device.link in single]
    for link in users:
        if users.count(link) > 1:
            raise ConfigurationError(source, "device.link", f"{link!r} twice", "One device a port")
