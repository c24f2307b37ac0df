"""`gampong calibrate gateway.toml DEVICE --empty|--full|--free`: how a sensor is mounted, measured.

In: the gateway's configuration, and a person's word on what stands there. Out: the burst and its
verdict on stdout; when it is good the file with the new keys, comments kept. Exit code: 0 written,
1 not (noisy, too few, contradicts, the port was lost: nothing is changed), 2 for a configuration or
a device that can't be calibrated. The agent must not hold the port.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.burst import Burst
    from edge.calibration import Judged, Target
    from edge.configuration import EdgeConfiguration

NOT_WRITTEN, UNUSABLE = 1, 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    calibrate = subparsers.add_parser(
        "calibrate",
        help="measure how a sensor is mounted, and write it down",
        description="Reads the device some dozens of times and writes the median into the file, "
        "comments kept. Stop the agent first: one program a port. Example: gampong calibrate "
        "gateway.toml bin-01 --empty",
    )
    calibrate.add_argument("file", type=Path, metavar="FILE", help="gateway.toml")
    calibrate.add_argument("device", metavar="DEVICE", help="its name there")
    what = calibrate.add_mutually_exclusive_group(required=True)
    what.add_argument("--empty", action="store_true", help="the bin is empty (container.empty_mm)")
    what.add_argument("--full", action="store_true", help="it is full (container.full_mm)")
    what.add_argument("--free", action="store_true", help="nothing stands in the bay")
    calibrate.add_argument(
        "--height", type=float, metavar="MM", help="bottom to brim, when there is no container yet"
    )
    calibrate.add_argument("--anyway", action="store_true", help="though it contradicts the file")
    calibrate.add_argument("--count", type=int, default=40, help="readings (default 40)")
    calibrate.add_argument("--within", type=float, default=60.0, metavar="S", help="seconds (60)")
    calibrate.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong calibrate`."""
    from edge.calibration import Target, Verdict, judge
    from edge.configuration import load_configuration
    from edge.rewriting import rewrite, with_device_keys
    from gampong.probe_command import only
    from wire.configuration import ConfigurationError

    logging.getLogger("edge").addHandler(logging.NullHandler())  # what happened is said below
    path: Path = arguments.file
    target = next(each for each in Target if getattr(arguments, each))
    try:
        text = path.read_text(encoding="utf-8")
        configuration = only(load_configuration(text, str(path)), arguments.device, str(path))
        _check(configuration, target, arguments, str(path))
        taken = asyncio.run(_burst(configuration, arguments.count, arguments.within))
        if taken.lost or not taken.readings:
            print(f"{_nothing(taken)}. Nothing is changed", file=sys.stderr)
            return NOT_WRITTEN
        judged = judge(
            configuration.device[0], target, taken.readings, arguments.height, arguments.anyway
        )
        _say(arguments.device, judged, taken)
        if judged.verdict is not Verdict.GOOD:
            return NOT_WRITTEN
        rewrite(
            path,
            text,
            with_device_keys(text, str(path), arguments.device, judged.table, judged.keys),
        )
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        print(f"gampong calibrate: {error}", file=sys.stderr)
        return UNUSABLE
    _note(configuration, arguments.device, target, judged)
    for key, value in judged.keys.items():
        shown = list(value) if isinstance(value, tuple) else value
        print(f"{path}: {judged.table}.{key} = {shown}")
    print("Now: systemctl restart gampong-edge")
    return 0


def _note(configuration: EdgeConfiguration, device: str, target: Target, judged: Judged) -> None:
    """Into the log of the site."""
    from edge.site_log import What, folder_of, note_here
    from wire.clock import SystemClock

    text = f"{target}: {judged.seen}"
    now_ms = SystemClock().now_ms()
    note_here(folder_of(configuration), What.CALIBRATED, now_ms, device=device, text=text)


def _check(
    configuration: EdgeConfiguration, target: Target, arguments: argparse.Namespace, source: str
) -> None:
    """What can be said before the port is opened.

    Raises:
        ConfigurationError: this device has nothing of that kind.
    """
    from edge.calibration import FEW, KINDS
    from edge.drivers import driver_of
    from wire.configuration import ConfigurationError

    kind = driver_of(configuration, configuration.device[0]).kind
    if kind not in KINDS[target]:
        problem = f"a {kind} can't be {target}"
        remedy = f"--{target} is for {' and '.join(KINDS[target])}"
        raise ConfigurationError(source, arguments.device, problem, remedy)
    if arguments.count < FEW:
        raise ConfigurationError("--count", "", f"{arguments.count} are too few", f"Give {FEW}")
    if arguments.height is not None and arguments.height <= 0:
        raise ConfigurationError("--height", "", "not above 0", "Give bottom to brim in mm")


async def _burst(configuration: EdgeConfiguration, count: int, within_s: float) -> Burst:
    from edge.burst import burst
    from wire.clock import SystemClock

    def tell(done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == count else ""
            print(f"\r{done} of {count} readings", end=end, file=sys.stderr, flush=True)

    return await burst(configuration, count, within_s, SystemClock(), tell)


def _nothing(taken: Burst) -> str:
    """Why there is nothing to judge."""
    if taken.lost:
        return taken.lost
    if _beside(taken, without=("timeout",)):
        return f"nothing that can be read came: {_beside(taken)}. See: gampong probe"
    return "the device keeps silent. Is it powered? See: gampong probe"


def _beside(taken: Burst, without: tuple[str, ...] = ()) -> str:
    """What came that was no reading, by reason: `checksum 3, length 1`."""
    counts = taken.refused + taken.noise
    return ", ".join(f"{why} {n}" for why, n in sorted(counts.items()) if why not in without)


def _say(device: str, judged: Judged, taken: Burst) -> None:
    print(f"{device}: {judged.seen}")
    if beside := _beside(taken):
        print(f"    beside them {beside}")
    print(f"{judged.verdict}{': ' if judged.why else ''}{judged.why}")
    if judged.remedy:
        print(f"    {judged.remedy}. Nothing is changed")
