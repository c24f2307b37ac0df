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
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.spoken import complain, spoken
from wire.sentence import Told, told

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
            said = told("{why}. Nothing is changed", why=_nothing(taken))
            print(spoken(said), file=sys.stderr)
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
        complain("calibrate", error)
        return UNUSABLE
    _note(configuration, arguments.device, target, judged)
    for key, value in judged.keys.items():
        shown = list(value) if isinstance(value, tuple) else value
        print(f"{path}: {judged.table}.{key} = {shown}")
    print(spoken(told("Now: systemctl restart gampong-edge")))
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
    from edge.calibration import FEW, HEIGHT_MM_MAX, HEIGHT_MM_MIN, KINDS
    from edge.drivers import driver_of
    from wire.configuration import ConfigurationError

    kind = driver_of(configuration, configuration.device[0]).kind
    if kind not in KINDS[target]:
        problem = told("a {kind} can't be {target}", kind=kind, target=str(target))
        kinds = [told("{kind}", kind=each) for each in KINDS[target]]
        both = kinds[0] if len(kinds) == 1 else told("{a} and {b}", a=kinds[0], b=kinds[1])
        remedy = told("--{target} is for {kinds}", target=str(target), kinds=both)
        raise ConfigurationError(source, arguments.device, problem, remedy)
    if arguments.count < FEW:
        problem = told("{count} are too few", count=arguments.count)
        raise ConfigurationError("--count", "", problem, told("Give {count}", count=FEW))
    height_mm = arguments.height
    if height_mm is not None and not HEIGHT_MM_MIN <= height_mm <= HEIGHT_MM_MAX:
        problem = told("{height_mm:g} mm is no container's height", height_mm=height_mm)
        raise ConfigurationError("--height", "", problem, told("Give bottom to brim in mm"))


async def _burst(configuration: EdgeConfiguration, count: int, within_s: float) -> Burst:
    from edge.burst import burst
    from wire.clock import SystemClock

    def tell(done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == count else ""
            far = spoken(told("{done} of {count} readings", done=done, count=count))
            print(f"\r{far}", end=end, file=sys.stderr, flush=True)

    return await burst(configuration, count, within_s, SystemClock(), tell)


def _nothing(taken: Burst) -> Told:
    """Why there is nothing to judge."""
    if taken.lost:
        return Told(taken.lost, "the port was lost: {why}", {"why": taken.lost})
    if _beside(taken, without=("timeout",)):
        return told(
            "nothing that can be read came: {reasons}. See: gampong probe", reasons=_beside(taken)
        )
    return told("the device keeps silent. Is it powered? See: gampong probe")


def _beside(taken: Burst, without: tuple[str, ...] = ()) -> str:
    """What came that was no reading, by reason: `checksum 3, length 1`."""
    counts = taken.refused + taken.noise
    return ", ".join(f"{why} {n}" for why, n in sorted(counts.items()) if why not in without)


def _say(device: str, judged: Judged, taken: Burst) -> None:
    print(f"{device}: {spoken(judged.seen)}")
    if beside := _beside(taken):
        print(f"    {spoken(told('beside them {reasons}', reasons=beside))}")
    print(f"{spoken(_verdicts()[judged.verdict])}{': ' if judged.why else ''}{spoken(judged.why)}")
    if judged.remedy:
        print(f"    {spoken(told('{remedy}. Nothing is changed', remedy=judged.remedy))}")


def _verdicts() -> Mapping[str, Told]:
    from edge.calibration import Verdict

    return {
        Verdict.GOOD: told("good"),
        Verdict.NOISY: told("noisy"),
        Verdict.FEW: told("too few"),
        Verdict.CONTRADICTS: told("contradicts what is there"),
    }
