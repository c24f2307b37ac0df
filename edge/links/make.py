"""Links from the configuration: each type's file is imported only where it is used.

In: the checked configuration. Out: links that haven't started. A port without a device on it
makes no link: nobody would know what to read there.
"""

from __future__ import annotations

from collections.abc import Callable

from devices.driver import ModbusLink, UartLink, load_driver
from edge.configuration import Device, EdgeConfiguration
from edge.link_settings import ChirpStack, Hotspot, ModbusPort, UartPort
from edge.links import Link, Sink
from wire.clock import Clock


def make_links(
    configuration: EdgeConfiguration,
    sink: Sink,
    clock: Clock,
    time_trusted: Callable[[], bool] = lambda: True,
) -> list[Link]:
    """One link for each `[[link]]` that has devices; a network server's in any case.

    Only it knows devices that nobody configured, and they have to be counted.
    """
    links: list[Link] = []
    for settings in configuration.link:
        devices = [device for device in configuration.device if device.link == settings.name]
        if isinstance(settings, ChirpStack):
            from edge.links.chirpstack import ChirpStackStream

            gateway = configuration.gateway.name
            links.append(ChirpStackStream(settings, gateway, sink, clock, time_trusted))
        elif devices:
            links.append(_link(settings, devices, sink, clock))
    return links


def _link(
    settings: UartPort | ModbusPort | Hotspot, devices: list[Device], sink: Sink, clock: Clock
) -> Link:
    first = devices[0]
    if isinstance(settings, ModbusPort):
        from edge.links.modbus import ModbusBus, Slave

        slaves = [
            Slave(device.name, device.unit or 0, asks, device.poll_interval_s)
            for device in devices
            if isinstance(asks := load_driver(device.driver).link, ModbusLink)
        ]
        return ModbusBus(settings, slaves, sink, clock)
    if isinstance(settings, UartPort):
        from edge.links.uart import UartSensor

        driver_link = load_driver(first.driver).link
        assert isinstance(driver_link, UartLink), "checked with the configuration"
        interval_s = first.poll_interval_s
        return UartSensor(settings, first.name, driver_link, interval_s, sink, clock)
    from edge.links.hotspot import HotspotWatch

    return HotspotWatch(settings, first.name, first.poll_interval_s, sink, clock)
