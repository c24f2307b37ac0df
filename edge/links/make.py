"""Links from the configuration: each type's file is imported only where it is used.

In: the checked configuration. Out: links that haven't started. A port without a device on it
makes no link: nobody would know what to read there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from devices.driver import Driver, ModbusLink, ObjectLink, TopicLink, UartLink
from devices.signature import MIDTRANS_PAID
from devices.topics import Listener
from edge.configuration import Device, EdgeConfiguration
from edge.drivers import driver_of
from edge.link_settings import (
    NETWORK_SERVERS,
    ChirpStack,
    Hotspot,
    JsonTopics,
    LineTopics,
    LinkSettings,
    MilesightGateway,
    ModbusPort,
    RouterOs,
    SnmpAgent,
    ThingsStack,
    UartPort,
    Webhook,
    WifiCorner,
)
from edge.links import Link, Sink
from edge.links.access_point import AccessPoint
from wire.clock import Clock


def make_links(
    configuration: EdgeConfiguration,
    sink: Sink,
    clock: Clock,
    time_trusted: Callable[[], bool] = lambda: True,
    newest_ms: Callable[[str], int | None] = lambda _: None,
) -> list[Link]:
    """One link for each `[[link]]` that has devices; a network server's in any case.

    Only it knows devices that nobody configured, and they have to be counted. `newest_ms` is the
    time of a device's newest reading, as far as the outbox knows.
    """
    links: list[Link] = []
    gateway = configuration.gateway.name
    for settings in configuration.link:
        devices = [device for device in configuration.device if device.link == settings.name]
        pairs = [(device, driver_of(configuration, device)) for device in devices]
        if isinstance(settings, NETWORK_SERVERS):
            known = [time for device in devices if (time := newest_ms(device.name)) is not None]
            make = partial(
                _network_server,
                settings,
                gateway,
                clock=clock,
                time_trusted=time_trusted,
                newest_ms=max(known, default=None),
            )
            links.append(_decoded(pairs, sink, make))
        elif isinstance(settings, JsonTopics | LineTopics):
            if pairs:
                links.append(_topics(settings, gateway, pairs, sink, clock, time_trusted))
        elif isinstance(settings, Webhook):
            if pairs:
                links.append(_webhook(settings, pairs, sink, clock, time_trusted))
        elif pairs:
            links.append(_link(settings, pairs, sink, clock))
    return links


def _network_server(
    settings: ChirpStack | ThingsStack | MilesightGateway,
    gateway: str,
    sink: Sink,
    clock: Clock,
    time_trusted: Callable[[], bool],
    newest_ms: int | None,
) -> Link:
    from edge.links.repeats import Once

    once = Once(sink)
    if isinstance(settings, ChirpStack):
        from edge.links.chirpstack import ChirpStackStream

        return ChirpStackStream(settings, gateway, once, clock, time_trusted)
    if isinstance(settings, ThingsStack):
        from edge.links.things_stack import ThingsStackLink

        return ThingsStackLink(settings, gateway, once, clock, newest_ms, time_trusted)
    from edge.links.milesight_gateway import milesight_stream

    return milesight_stream(settings, gateway, once, clock, time_trusted)


def _decoded(pairs: list[tuple[Device, Driver]], sink: Sink, make: Callable[[Sink], Link]) -> Link:
    """The link, with a vendor's decoder before the sink where a device needs one."""
    files = {
        device.dev_eui: driver.link.decoder
        for device, driver in pairs
        if isinstance(driver.link, ObjectLink) and driver.link.decoder
    }
    if not files:
        return make(sink)
    from edge.links.decoding import Decoding

    return Decoding(files, sink, make)


def _topics(
    settings: JsonTopics | LineTopics,
    gateway: str,
    pairs: list[tuple[Device, Driver]],
    sink: Sink,
    clock: Clock,
    time_trusted: Callable[[], bool],
) -> Link:
    from edge.links.plain_topics import PlainTopics, Publisher

    publishers = [
        Publisher(
            Listener(device.name, device.topic, _match(settings, device)), driver.link.own_time
        )
        for device, driver in pairs
        if isinstance(driver.link, TopicLink)
    ]
    return PlainTopics(settings, gateway, publishers, sink, clock, time_trusted).stream


def _match(settings: JsonTopics | LineTopics | Webhook, device: Device) -> Mapping[str, str]:
    """What an event of the device says. Of Midtrans's, `status_code` says that it is paid, which is
    signed; `transaction_status` isn't: of a pending payment anybody could make a settled one."""
    signature = getattr(settings, "signature", None)
    if signature is None or signature.scheme != "midtrans":
        return device.match
    return {"status_code": MIDTRANS_PAID, **device.match}


def _webhook(
    settings: Webhook,
    pairs: list[tuple[Device, Driver]],
    sink: Sink,
    clock: Clock,
    time_trusted: Callable[[], bool],
) -> Link:
    from edge.links.events import Terminal
    from edge.links.webhook import WebhookLink

    terminals = [
        Terminal(Listener(device.name, device.topic.strip("/"), _match(settings, device)), driver)
        for device, driver in pairs
    ]
    return WebhookLink(settings, terminals, sink, clock, time_trusted)


def _link(
    settings: LinkSettings,
    pairs: list[tuple[Device, Driver]],
    sink: Sink,
    clock: Clock,
) -> Link:
    first, driver = pairs[0]
    if isinstance(settings, ModbusPort):
        from edge.links.modbus import ModbusBus, Slave

        slaves = [
            Slave(device.name, device.unit or 0, asks, device.poll_interval_s, device.node)
            for device, driver in pairs
            if isinstance(asks := driver.link, ModbusLink)
        ]
        return ModbusBus(settings, slaves, sink, clock)
    if isinstance(settings, UartPort):
        from edge.links.uart import UartSensor

        assert isinstance(driver.link, UartLink), "checked with the configuration"
        interval_s = first.poll_interval_s
        return UartSensor(settings, first.name, driver.link, interval_s, sink, clock)
    assert isinstance(settings, WifiCorner), "every type of link has a branch"
    from edge.links.hotspot import HotspotWatch

    point = _access_point(settings, clock)
    return HotspotWatch(settings, point, first.name, first.poll_interval_s, sink, clock)


def _access_point(settings: WifiCorner, clock: Clock) -> AccessPoint:
    if isinstance(settings, RouterOs):
        from edge.links.routeros import RouterOsRest

        return RouterOsRest(settings, clock)
    if isinstance(settings, SnmpAgent):
        from edge.links.snmp import SnmpPoint

        return SnmpPoint(settings, clock)
    from edge.links.openwrt import OpenWrt

    assert isinstance(settings, Hotspot), "every type of link has a branch"
    return OpenWrt(settings, clock)
