"""A city of three gateways: `python -m tests.chaos.city DIRECTORY SEED CITY-TIME SITE-PORT`.

It is `gampong simulate` with one gateway more and fewer devices, for two cores that also carry
three agents, two ingestors, two brokers and a database. It says `ready` once every port is open and
ends on SIGTERM.

City time runs faster than the gateways' own clocks and lies in the past, as if a network server
caught up: cars come and go as quickly as the chaos needs them, while clocks, polls, seals and
time-outs of the line are the real ones.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from simulators.city import Bay, City
from simulators.gateway_files import write_gateway_files
from simulators.serve import run_city
from wire.clock import CityTime, SystemClock
from wire.configuration import Broker

POLL_S = 2.0
"""Between two polls of a bay; corners and bins on a wire wait twice and three times that."""

WIRED_BAYS, RADIO_BAYS, UART_BINS, RADIO_BINS = 6, 12, 1, 6


def city_of(seed: int) -> City:
    """Three gateways of 26 devices each."""
    large = City.of(seed, bays=240, bins=160, corners=3)
    assert len(large.gateways) == 3
    gateways = []
    for whole in large.gateways:
        wired = [bay for bay in whole.bays if bay.bus][:WIRED_BAYS]
        uart = [one for one in whole.bins if one.uart][:UART_BINS]
        bays: list[Bay] = wired + [bay for bay in whole.bays if bay.dev_eui][:RADIO_BAYS]
        bins = uart + [one for one in whole.bins if one.dev_eui][:RADIO_BINS]
        gateways.append(msgspec.structs.replace(whole, bays=tuple(bays), bins=tuple(bins)))
    return City(seed, tuple(gateways))


def write_files(city: City, directory: Path, site_port: int) -> list[Path]:
    """Each gateway's TOML; whoever runs the agents says where their cloud and outbox are."""
    return write_gateway_files(
        city,
        directory,
        cloud_broker=Broker(port=1),
        site_broker=Broker(port=site_port),
        seal_interval_s=2.0,
        poll_interval_s=POLL_S,
        status_interval_s=5.0,
    )


async def _run(directory: Path, seed: int, clock: SystemClock, site_port: int) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    site = Broker(port=site_port)
    truth = directory / "truth.jsonl"
    async with asyncio.TaskGroup() as group:
        group.create_task(run_city(city_of(seed), directory, site, clock, truth, stop, ready=ready))
        await ready.wait()
        print("ready", flush=True)


def main() -> None:
    """Run until SIGTERM."""
    directory, seed, city_time, site_port = sys.argv[1:]
    clock = SystemClock(CityTime.parse(city_time))
    asyncio.run(_run(Path(directory), int(seed), clock, int(site_port)))


if __name__ == "__main__":
    main()
