"""What the page does at a sensor's port: scan it, or calibrate the device on it. One at a time.

In: what is to be done, by whoever is logged in. Out: how far it is, and in the end what came of it.
A port that a link holds is lent by that link (`edge/links/lending.py`), with a time limit, and
given back whatever happens: the readings go on afterwards. Devices by radio can't be asked.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from enum import StrEnum
from pathlib import Path

import msgspec

from devices.driver import Driver, ModbusLink, UartLink
from edge.burst import Burst, burst
from edge.calibration import KINDS, Judged, Target, judge
from edge.configuration import Device, EdgeConfiguration
from edge.drivers import driver_of
from edge.link_settings import ModbusPort, UartPort
from edge.links.lending import Lending
from edge.scan import Found
from edge.scan.ports import serial_ports
from wire.clock import Clock

READINGS, BURST_S, CALIBRATE_S = 40, 60.0, 75.0
SCAN_S = 900.0
"""All addresses at all speeds take 160 s and a half; a slow adapter five times that."""

Doing = Coroutine[object, object, None]
QUICK_ADDRESSES, ALL_ADDRESSES = range(1, 33), range(1, 248)


class Kind(StrEnum):
    SCAN = "scan"
    CALIBRATE = "calibrate"


class Work(msgspec.Struct):
    """One piece of work. `subject` is a port or a device. `problem` is why it came to nothing:
    `lent`, `port`, `late`, `silent`, `unreadable`, `stopped`; `detail` the words to it. `written`
    names what was written into gateway.toml."""

    kind: Kind
    subject: str
    target: Target | None = None
    done: int = 0
    whole: int = 0
    step: str = ""
    running: bool = True
    problem: str = ""
    detail: str = ""
    taken: Burst | None = None
    judged: Judged | None = None
    found: list[Found] = msgspec.field(default_factory=list)
    written: str = ""


def is_wired(driver: Driver) -> bool:
    """Whether a second reader can ask it: sensors on a serial port."""
    return isinstance(driver.link, ModbusLink | UartLink)


def targets_of(configuration: EdgeConfiguration, device: Device) -> list[Target]:
    """What that device can be calibrated for."""
    driver = driver_of(configuration, device)
    return [target for target, kinds in KINDS.items() if is_wired(driver) and driver.kind in kinds]


def ports(configuration: EdgeConfiguration) -> dict[str, str]:
    """Ports that can be scanned, and the link that holds each ("" for none). Only of this machine:
    a form can't name another file or host."""
    found = dict.fromkeys(serial_ports(), "")
    resolved = {Path(port).resolve(): port for port in found}
    for link in configuration.link:
        if isinstance(link, ModbusPort | UartPort):
            found[resolved.get(Path(link.port).resolve(), link.port)] = link.name
    return found


async def calibrate(
    work: Work,
    configuration: EdgeConfiguration,
    links: Mapping[str, Lending],
    clock: Clock,
    height_mm: float | None,
    anyway: bool,
) -> None:
    """Take a burst and judge it; writes nothing."""
    (device,) = [one for one in configuration.device if one.name == work.subject]
    only = tuple(link for link in configuration.link if link.name == device.link)
    alone = msgspec.structs.replace(configuration, device=(device,), link=only)
    work.whole = READINGS

    def tell(done: int) -> None:
        work.done = done

    async with AsyncExitStack() as stack:
        if lending := links.get(device.link):
            await stack.enter_async_context(lending.lent(f"calibrating {device.name}", CALIBRATE_S))
        work.taken = taken = await burst(alone, READINGS, BURST_S, clock, tell)
    assert work.target
    if taken.lost:
        work.problem, work.detail = "port", taken.lost
    elif not taken.readings:
        counts = taken.refused + taken.noise
        silent = not set(counts) - {"timeout"}
        work.problem = "silent" if silent else "unreadable"
        work.detail = ", ".join(f"{why} {n}" for why, n in sorted(counts.items()))
    else:
        work.judged = judge(device, work.target, taken.readings, height_mm, anyway)


async def scan(
    work: Work,
    configuration: EdgeConfiguration,
    links: Mapping[str, Lending],
    clock: Clock,
    quick: bool,
) -> None:
    """Look what hangs on a port. Drivers are loaded for it, and stay in memory."""
    from edge.scan.bus import search
    from edge.scan.listening import listen

    def tell(what: str, done: int, whole: int) -> None:
        work.step, work.done, work.whole = what, done, whole

    async with AsyncExitStack() as stack:
        if lending := links.get(ports(configuration).get(work.subject, "")):
            await stack.enter_async_context(lending.lent("scanning its port", SCAN_S))
        alone = await listen(work.subject, clock, tell)
        if alone is not None:
            work.found = [alone]
            return
        addresses = QUICK_ADDRESSES if quick else ALL_ADDRESSES
        work.found = await search(work.subject, clock, tell, addresses, first_only=quick)
