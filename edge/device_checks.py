"""What a gateway's devices, links and declared drivers must agree on, before anything is opened.

In: the parts of a configuration. Out: nothing, or `ConfigurationError` with the key and the remedy.

    a link      fits the driver, bears each address, identity and port once
    a bus       runs at one speed: drivers that differ are refused, unless the port says which
    a unit      is one device; several only as nodes of a driver with a stride, or as declared maps
    a dev_eui   has one driver: channels share it
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from devices.driver import (
    Driver,
    HotspotLink,
    LorawanLink,
    ModbusLink,
    ObjectLink,
    RouterosLink,
    SnmpLink,
    TopicLink,
    UartLink,
    UnknownDriver,
    driver_names,
)
from devices.field_map import check_map
from devices.register_map import ADDRESS_MAX, BadMap, RegisterMap
from devices.topics import is_filter
from edge.drivers import driver_of, named_driver
from edge.link_settings import (
    BY_TOPIC,
    NETWORK_SERVERS,
    Hotspot,
    LinkSettings,
    ModbusPort,
    MqttServer,
    RouterOs,
    SnmpAgent,
    ThingsStack,
    UartPort,
)
from edge.links.snmp_message import host_and_port, parse_oid
from edge.mounting import mounting_fault
from edge.sender_checks import check_sender, check_sender_of
from wire.configuration import ConfigurationError
from wire.line import NAME

if TYPE_CHECKING:
    from edge.configuration import Device, EdgeConfiguration

_LINKS_BY_DRIVER: dict[type, tuple[type, ...]] = {
    UartLink: (UartPort,),
    ModbusLink: (ModbusPort,),
    LorawanLink: NETWORK_SERVERS,
    ObjectLink: NETWORK_SERVERS,
    TopicLink: BY_TOPIC,
    HotspotLink: (Hotspot,),
    RouterosLink: (RouterOs,),
    SnmpLink: (SnmpAgent,),
}
_ONE_DEVICE = (UartPort, Hotspot, RouterOs, SnmpAgent)
_FINGERPRINT = re.compile(r"([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}")
_HAS_ENGINE = find_spec("quickjs") is not None  # looked for, not loaded
UNITS = range(1, 248)


def check_devices(configuration: EdgeConfiguration, source: str) -> None:
    """Check devices, links and declared drivers whole.

    Raises:
        ConfigurationError: the first thing that can't be.
    """
    _check_maps(configuration.register_map, source)
    _check_field_maps(configuration, source)
    links = {link.name: link for link in configuration.link}
    drivers: list[Driver] = []
    for index, device in enumerate(configuration.device):
        key = f"device[{index}] ({device.name})"
        driver = _driver(device, configuration, key, source)
        _check_device(device, driver, links, key, source)
        _check_messages(configuration, device, driver, key, source)
        check_sender_of(configuration, device, driver, links[device.link], key, source)
        drivers.append(driver)
    for index, link in enumerate(configuration.link):
        _check_link(link, f"link[{index}] ({link.name})", source)
        check_sender(link, f"link[{index}] ({link.name})", source)
    _check_identities(configuration, source)
    pairs = list(zip(configuration.device, drivers, strict=True))
    _check_units(pairs, configuration.register_map, source)
    _check_speeds(pairs, links, source)
    _check_dev_euis(configuration.device, source)


def _check_maps(register_maps: Mapping[str, RegisterMap], source: str) -> None:
    files = set(driver_names())
    for name, registers in register_maps.items():
        key = f"register_map.{name}"
        if NAME.fullmatch(name) is None:
            remedy = "Use lower-case letters, digits, - and _"
            raise ConfigurationError(source, key, f"{name!r} isn't a name", remedy)
        if name in files:
            raise ConfigurationError(source, key, "a driver has that name", "Choose another")
        try:
            named_driver(name, {name: registers})
        except BadMap as error:
            inner = f"{key}.{error.key}"
            raise ConfigurationError(source, inner, error.problem, error.remedy) from error


def _check_field_maps(configuration: EdgeConfiguration, source: str) -> None:
    files = {*driver_names(), *configuration.register_map}
    for name, field_map in configuration.field_map.items():
        key = f"field_map.{name}"
        if NAME.fullmatch(name) is None:
            remedy = "Use lower-case letters, digits, - and _"
            raise ConfigurationError(source, key, f"{name!r} isn't a name", remedy)
        if name in files:
            raise ConfigurationError(source, key, "a driver has that name", "Choose another")
        try:
            check_map(field_map)
        except BadMap as error:
            inner = f"{key}.{error.key}"
            raise ConfigurationError(source, inner, error.problem, error.remedy) from error


def _driver(device: Device, configuration: EdgeConfiguration, key: str, source: str) -> Driver:
    try:
        return driver_of(configuration, device)
    except UnknownDriver as error:
        declared = (*configuration.register_map, *configuration.field_map)
        remedy = f"Take one of: {', '.join((*declared, *driver_names()))}"
        raise ConfigurationError(source, f"{key}.driver", "no such driver", remedy) from error


def _check_device(
    device: Device, driver: Driver, links: dict[str, LinkSettings], key: str, source: str
) -> None:
    link = links.get(device.link)
    needed = _LINKS_BY_DRIVER[type(driver.link)]
    if link is None or not isinstance(link, needed):
        tags = (one.__struct_config__.tag for one in needed)  # type: ignore[attr-defined]
        kind = " or ".join(repr(tag) for tag in tags)
        remedy = f"Name a [[link]] of type {kind}; there are: {', '.join(links) or 'none'}"
        raise ConfigurationError(source, f"{key}.link", f"{device.link!r} doesn't fit", remedy)
    if isinstance(driver.link, ModbusLink):
        _check_place(device, driver.link, key, source)
    if isinstance(link, NETWORK_SERVERS) and not _is_dev_eui(device.dev_eui):
        remedy = "Give 16 lower-case hex digits"
        raise ConfigurationError(source, f"{key}.dev_eui", "needed", remedy)
    if not 0.05 <= device.poll_interval_s <= 86_400:
        remedy = "Choose 0.05 to 86400 seconds"
        raise ConfigurationError(source, f"{key}.poll_interval_s", "out of bounds", remedy)
    fault = mounting_fault(device.container, device.bay, device.magnet, device.assumed_air_c)
    if fault:
        part, words, remedy = fault
        raise ConfigurationError(source, f"{key}.{part}", words, remedy)


def _check_messages(
    configuration: EdgeConfiguration, device: Device, driver: Driver, key: str, source: str
) -> None:
    """What somebody else decodes, or publishes on a topic of its own."""
    by_topic = isinstance(driver.link, TopicLink)
    field_map = configuration.field_map.get(device.driver)
    if field_map is not None and field_map.decoder and by_topic:
        remedy = "Only a network server's devices have payloads for a vendor's decoder"
        raise ConfigurationError(source, f"{key}.driver", "its map has a decoder", remedy)
    if isinstance(driver.link, ObjectLink) and driver.link.decoder and not _HAS_ENGINE:
        remedy = "pip install 'gampong[js]'"
        raise ConfigurationError(source, f"{key}.driver", "its decoder needs quickjs-ng", remedy)
    if by_topic and not is_filter(device.topic):
        remedy = "Give the MQTT topic that the device publishes on; + and # are allowed"
        raise ConfigurationError(source, f"{key}.topic", "needed", remedy)


def _check_place(device: Device, link: ModbusLink, key: str, source: str) -> None:
    if device.unit not in UNITS:
        raise ConfigurationError(source, f"{key}.unit", "needed", "Give the address, 1 to 247")
    if device.node and not link.stride:
        remedy = "Only a driver with many sensors behind one address has nodes"
        raise ConfigurationError(source, f"{key}.node", f"{device.driver} has no nodes", remedy)
    last = max(one.register + one.count - 1 for one in link.at_node(device.node))
    if device.node < 0 or last > ADDRESS_MAX:
        remedy = f"Node {device.node} must end at or before register {ADDRESS_MAX}"
        raise ConfigurationError(source, f"{key}.node", f"{device.node} can't be", remedy)


def _check_link(link: LinkSettings, key: str, source: str) -> None:
    bounds: list[tuple[str, float | None, float, float]] = []
    if isinstance(link, UartPort | ModbusPort):
        bounds.append(("baudrate", link.baudrate, 300, 4_000_000))
    if isinstance(link, ModbusPort):
        bounds += [
            ("answer_timeout_s", link.answer_timeout_s, 0.01, 60),
            ("late_answer_s", link.late_answer_s, 0, 600),
            ("failures_before_rest", link.failures_before_rest, 1, 1000),
            ("rest_s", link.rest_s, 0, 86_400),
        ]
    if isinstance(server := getattr(link, "broker", None), MqttServer):
        bounds.append(("broker.port", server.port, 1, 65_535))
        bounds.append(("broker.keepalive_s", server.keepalive_s, 1, 65_535))
    if isinstance(link, ThingsStack) and link.storage:
        bounds.append(("storage.hours_max", link.storage.hours_max, 0, 24 * 366))
        bounds.append(("storage.timeout_s", link.storage.timeout_s, 1, 600))
    if isinstance(link, Hotspot | RouterOs | SnmpAgent):
        bounds.append(("timeout_s", link.timeout_s, 0.1, 60))
        bounds.append(("probe_count", link.probe_count, 0, 100))
    for name, value, low, high in bounds:
        if value is not None and not low <= value <= high:
            problem = f"{value} not in {low}..{high}"
            raise ConfigurationError(source, f"{key}.{name}", problem, "Choose within")
    if isinstance(link, Hotspot | RouterOs):
        _check_trust(link, key, source)
    if isinstance(link, SnmpAgent):
        _check_snmp(link, key, source)


def _check_trust(link: Hotspot | RouterOs, key: str, source: str) -> None:
    if not link.url.startswith(("http://", "https://")):
        remedy = "Begin it with http:// or https://"
        raise ConfigurationError(source, f"{key}.url", f"{link.url!r} isn't one", remedy)
    if link.fingerprint and _FINGERPRINT.fullmatch(link.fingerprint) is None:
        remedy = "Give the certificate's SHA-256, 64 hex digits"
        raise ConfigurationError(source, f"{key}.fingerprint", "isn't one", remedy)
    if link.fingerprint and link.ca_file:
        remedy = "Pin the certificate itself, or name who signed it"
        raise ConfigurationError(source, f"{key}.ca_file", "beside a fingerprint", remedy)
    if (link.fingerprint or link.ca_file) and not link.url.startswith("https://"):
        name = "fingerprint" if link.fingerprint else "ca_file"
        remedy = "Without https:// there is no certificate to check"
        raise ConfigurationError(source, f"{key}.{name}", f"for {link.url!r}", remedy)


def _check_snmp(link: SnmpAgent, key: str, source: str) -> None:
    name = "host"
    try:
        host_and_port(link.host)
        name = "client_oids"
        for text in link.client_oids:
            parse_oid(text)
    except ValueError as error:
        remedy = "Give host or host:port; objects by number, 1.3.6.1..."
        raise ConfigurationError(source, f"{key}.{name}", str(error), remedy) from error


def _is_dev_eui(text: str) -> bool:
    return len(text) == 16 and all(c in "0123456789abcdef" for c in text)


def _check_identities(configuration: EdgeConfiguration, source: str) -> None:
    """Nothing twice: link names, device names, ports, LoRaWAN identities, one-device links."""
    ports = [("port", link.port) for link in configuration.link if hasattr(link, "port")]
    ports += [("listen", link.listen) for link in configuration.link if hasattr(link, "listen")]
    identities: list[tuple[str, ...]] = [
        *(("link", link.name) for link in configuration.link),
        *ports,
        *(("device", device.name) for device in configuration.device),
        *(("dev_eui", d.dev_eui, d.channel) for d in configuration.device if d.dev_eui),
    ]
    for kind, *words in _twice(identities):
        remedy = "Each may stand once"
        raise ConfigurationError(source, kind, f"{' '.join(filter(None, words))!r} twice", remedy)
    single = {link.name for link in configuration.link if isinstance(link, _ONE_DEVICE)}
    users = [("", device.link) for device in configuration.device if device.link in single]
    for _, link in _twice(users):
        raise ConfigurationError(source, "device.link", f"{link!r} twice", "One device a port")


def _check_units(
    pairs: Sequence[tuple[Device, Driver]], register_maps: Mapping[str, RegisterMap], source: str
) -> None:
    """One address is one device, unless all that share it are parts of something larger."""
    by_unit: dict[tuple[str, int | None], list[tuple[Device, Driver]]] = defaultdict(list)
    for device, driver in pairs:
        if isinstance(driver.link, ModbusLink):
            by_unit[device.link, device.unit].append((device, driver))
    for (link, unit), sharers in by_unit.items():
        names = ", ".join(device.name for device, _ in sharers)
        whole = [
            device
            for device, driver in sharers
            if isinstance(driver.link, ModbusLink)
            and not driver.link.stride
            and device.driver not in register_maps
        ]
        if len(sharers) > 1 and whole:
            problem = f"{unit} twice on {link}: {names}"
            remedy = "Give each device an address of its own, or each sensor behind it a node"
            raise ConfigurationError(source, "unit", problem, remedy)
        places = [(device.driver, str(device.node)) for device, _ in sharers]
        for driver_name, node in _twice(places):
            problem = f"{driver_name} of unit {unit} at node {node} twice on {link}: {names}"
            raise ConfigurationError(source, "node", problem, "Give each a node of its own")


def _check_speeds(
    pairs: Sequence[tuple[Device, Driver]], links: Mapping[str, LinkSettings], source: str
) -> None:
    """All on one bus hear each other: they must talk alike, or the port says how."""
    first: dict[str, tuple[Device, ModbusLink]] = {}
    for device, driver in pairs:
        port, asks = links[device.link], driver.link
        if not isinstance(port, ModbusPort) or not isinstance(asks, ModbusLink):
            continue
        other, theirs = first.setdefault(device.link, (device, asks))
        for word, ours, before, given in (
            ("baudrate", asks.baudrate, theirs.baudrate, port.baudrate),
            ("parity", asks.parity, theirs.parity, port.parity),
        ):
            if given is None and ours != before:
                problem = (
                    f"{other.name} ({other.driver}) has {before}, "
                    f"{device.name} ({device.driver}) has {ours}"
                )
                remedy = f"Set all devices of the bus alike and give the link's {word}"
                raise ConfigurationError(source, f"link {port.name}.{word}", problem, remedy)


def _check_dev_euis(devices: Sequence[Device], source: str) -> None:
    """One radio has one driver; its channels are devices that share both."""
    first: dict[str, Device] = {}
    for device in devices:
        if not device.dev_eui:
            continue
        other = first.setdefault(device.dev_eui, device)
        if other.driver != device.driver:
            problem = f"{other.name} has driver {other.driver}, {device.name} {device.driver}"
            remedy = "Channels of one sensor share its driver; give another sensor its own dev_eui"
            raise ConfigurationError(source, f"dev_eui {device.dev_eui}", problem, remedy)


def _twice(identities: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those that stand there more than once, in order."""
    return [one for one, count in Counter(identities).items() if count > 1]
