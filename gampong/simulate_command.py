"""`gampong simulate`: a city without hardware, until it is told to stop.

It serves serial ports (ptys or TCP), uplinks and access points, and writes each gateway's TOML
beside them, so that `gampong edge run DIR/mahirah-01.toml` is all that a gateway needs.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from gampong import service


def configure(subparsers: Any) -> None:
    """Add `simulate` to the command line."""
    parser = subparsers.add_parser("simulate", help="a simulated city: ptys, uplinks, WiFi corners")
    add = parser.add_argument
    add("--directory", type=Path, required=True, help="where ptys and gateway files appear")
    add("--mqtt", type=_address, metavar="HOST:PORT", help="the site's broker, for radio devices")
    add("--cloud", type=_address, metavar="HOST:PORT", help="the gateways' broker (that one)")
    add("--seed", type=int, default=1, help="which city")
    add("--bays", type=int, help="a larger city than the demo's, with --bins")
    add("--bins", type=int, help="a larger city than the demo's, with --bays")
    add("--device", action="append", metavar="DRIVER[:COUNT]", help="only these; may be repeated")
    add("--city", type=Path, metavar="FILE", help="only the devices of this TOML file")
    add("--serial", choices=("pty", "tcp"), default="pty", help="what serial ports are (pty)")
    servers = ("chirpstack", "things_stack", "milesight_gateway")
    add("--envelope", choices=servers, default=servers[0], help="the network server (chirpstack)")
    add("--no-terminals", action="store_true", help="nobody tells of payments")
    add("--city-time", metavar="WALL_MS:CITY_MS:RATE", help="the clock shared with others")
    add("--speed", type=float, default=1.0, help="city seconds a second (1)")
    add("--start", metavar="ISO", help="city time to begin at, WIB unless it says (now)")
    add("--truth", type=Path, metavar="FILE", help="a JSON line for each thing asked or sent")
    add("--faults", action="store_true", help="damaged, late and doubled messages, ill sensors")
    add("--fault", action="append", metavar="NAME=SHARE", help="this fault; may be repeated")
    add("--speak-when", type=Path, metavar="FILE", help="no uplinks until this file exists")
    add("--seconds", type=float, help="end by itself after so many wall seconds")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the city; 0 when it was told to stop, 2 for arguments that can't be."""
    from wire.clock import SystemClock

    try:
        city_time = _city_time(arguments)
        city, faults = _city(arguments), _faults(arguments)
    except (OSError, ValueError) as error:
        print(f"gampong simulate: {error}")
        return 2
    asyncio.run(_simulate(arguments, SystemClock(city_time), city, faults))
    return 0


async def _simulate(arguments: argparse.Namespace, clock: Any, city: Any, faults: Any) -> None:
    from simulators.gateway_files import write_gateway_files
    from simulators.serve import run_city
    from wire.configuration import Broker

    host, port = arguments.mqtt or ("127.0.0.1", 1883)
    site_broker = Broker(host=host, port=port)
    cloud_host, cloud_port = arguments.cloud or (host, port)
    directory = arguments.directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    files = write_gateway_files(
        city,
        directory,
        cloud_broker=Broker(host=cloud_host, port=cloud_port),
        site_broker=site_broker,
        serial=arguments.serial,
        envelope=arguments.envelope,
    )
    stop, ready = service.stop_on_signals(), asyncio.Event()
    if arguments.seconds is not None:
        asyncio.get_running_loop().call_later(arguments.seconds, stop.set)
    speak = asyncio.Event()
    site = site_broker if any(gateway.by_radio for gateway in city.gateways) else None
    async with asyncio.TaskGroup() as group:
        beside = [
            group.create_task(_say_ready(ready, files, city.seed, clock.city.argument)),
            group.create_task(_set_when(arguments.speak_when, speak, clock)),
        ]
        truth = arguments.truth
        await run_city(
            city,
            directory,
            site,
            clock,
            truth,
            stop,
            faults,
            ready=ready,
            speak=speak,
            serial=arguments.serial,
            envelope=arguments.envelope,
        )
        for task in beside:
            task.cancel()


async def _set_when(file: Path | None, speak: asyncio.Event, clock: Any) -> None:
    while file is not None and not await asyncio.to_thread(file.exists):
        await clock.pause(0.05)
    speak.set()


async def _say_ready(ready: asyncio.Event, files: list[Path], seed: int, city_time: str) -> None:
    await ready.wait()
    where = " ".join(str(path) for path in files)
    print(f"ready seed={seed} city-time={city_time} gateways: {where}", flush=True)


def _city(arguments: argparse.Namespace) -> Any:
    from simulators.city import City
    from simulators.city_file import Wanted, city_of, read_city

    seed = arguments.seed
    if arguments.device:
        city = city_of([Wanted.parse(text) for text in arguments.device], seed)
    elif arguments.city:
        city = read_city(arguments.city, seed)
    elif arguments.bays is None and arguments.bins is None:
        city = City.demo(seed)
    else:
        city = City.of(seed, bays=arguments.bays or 0, bins=arguments.bins or 0)
    if arguments.no_terminals:
        city = city.without_terminals()
    if arguments.mqtt is None and any(gateway.by_radio for gateway in city.gateways):
        raise ValueError("radio devices need the site's broker: --mqtt HOST:PORT")
    return city


def _faults(arguments: argparse.Namespace) -> Any:
    from simulators.faults import MIXED_FAULTS, NO_FAULTS, with_shares

    return with_shares(MIXED_FAULTS if arguments.faults else NO_FAULTS, arguments.fault or [])


def _city_time(arguments: argparse.Namespace) -> Any:
    from datetime import datetime, timedelta, timezone

    from wire.clock import CityTime, SystemClock

    if arguments.city_time:
        return CityTime.parse(arguments.city_time)
    now_ms = SystemClock().now_ms()
    start_ms = now_ms
    if arguments.start:
        start = datetime.fromisoformat(arguments.start)
        if start.tzinfo is None:
            start = start.replace(tzinfo=timezone(timedelta(hours=7)))
        start_ms = int(start.timestamp() * 1000)
    return CityTime.parse(f"{now_ms}:{start_ms}:{arguments.speed}")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)
