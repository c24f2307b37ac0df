"""`gampong alerts list|history|acknowledge|silence FILE …`: alerts without Grafana.

Runs where the watch runs, as its user. In: `ingest.toml`, the store, `alerts.json`. Out: results on
stdout, an exit code: 0, 1 when there is no such alert or no watch took it up, 2 for a configuration
or a store that can't be used.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import re
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.taken_up import taken_up_or_said
from wire.clock import REAL_TIME, CityTime, SystemClock
from wire.configuration import ConfigurationError

if TYPE_CHECKING:
    from ingest.alerts.current import Alert, Past
    from ingest.alerts.desk import Ask
    from ingest.configuration import IngestConfiguration

UNUSABLE = 2
NOT_DONE = 1
_SPAN = re.compile(r"([0-9]{1,4})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its words."""
    alerts = subparsers.add_parser("alerts", help="what fires; acknowledge and silence it")
    words = alerts.add_subparsers(dest="alerts_command", required=True, metavar="WORD")

    listing = _word(words, "list", "what fires now, the worst first")
    listing.set_defaults(run=run_list)

    history = _word(words, "history", "what fired, cleared, was acknowledged or silenced")
    history.add_argument("--days", type=float, default=7.0, help="how far back; 7 by default")
    history.set_defaults(run=run_history)

    acknowledge = _word(words, "acknowledge", "I see to it: quiet until it clears")
    acknowledge.add_argument("rule", metavar="RULE", help="as gampong alerts list shows it")
    acknowledge.add_argument("device", metavar="DEVICE")
    acknowledge.add_argument("why", metavar="WHY", help="what is being done")
    acknowledge.set_defaults(run=run_acknowledge)

    silence = _word(words, "silence", "tell nothing of it for a while")
    silence.add_argument("until", metavar="UNTIL", help="2h, 30m, 3d, 2026-11-23T06:00, or now")
    silence.add_argument("why", metavar="WHY")
    silence.add_argument("--rule", default="", help="this rule only")
    silence.add_argument("--device", default="", help="this device, gateway or zone only")
    silence.add_argument("--site", default="", help="this site only")
    silence.set_defaults(run=run_silence)
    for word in (acknowledge, silence):
        word.add_argument("--who", default="", help="your name; the login's by default")


def _word(
    words: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    word = words.add_parser(name, help=about)
    word.add_argument("file", type=Path, metavar="FILE", help="ingest.toml")
    word.add_argument(
        "--city-time", type=CityTime.parse, default=REAL_TIME, help="WALL_MS:CITY_MS:RATE"
    )
    return word


def run_list(args: argparse.Namespace) -> int:
    """One line an alert: level, severity, rule, subject, since when, value."""
    from ingest.alerts.current import current
    from ingest.stores import StoreError

    clock = SystemClock(args.city_time)
    try:
        configuration = _configuration(args.file)
        found = asyncio.run(current(configuration, clock))
    except (ConfigurationError, StoreError, OSError) as error:
        return _fail(error)
    for alert in found:
        print(_line(alert, configuration.alerts.zone))
    return 0


def run_history(args: argparse.Namespace) -> int:
    """One line a change, the oldest first."""
    from ingest.stores import StoreError

    clock = SystemClock(args.city_time)
    try:
        configuration = _configuration(args.file)
        found = asyncio.run(_history(configuration, clock, args.days))
    except (ConfigurationError, StoreError, OSError) as error:
        return _fail(error)
    for past in found:
        print(_past_line(past, configuration.alerts.zone))
    return 0


async def _history(
    configuration: IngestConfiguration, clock: SystemClock, days: float
) -> list[Past]:
    from ingest.alerts.current import history
    from ingest.stores.open import open_store

    async with open_store(configuration.store, clock) as store:
        return await history(store, clock.now_ms(), days)


def run_acknowledge(args: argparse.Namespace) -> int:
    """Ask the watch to take note, and wait until it has."""
    from ingest.alerts.current import current
    from ingest.alerts.desk import Acknowledge
    from ingest.stores import StoreError

    clock = SystemClock(args.city_time)
    try:
        configuration = _configuration(args.file)
        found = asyncio.run(current(configuration, clock))
        if not any((one.rule, one.place.device) == (args.rule, args.device) for one in found):
            print(f"{args.rule} doesn't fire at {args.device}: see gampong alerts list")
            return NOT_DONE
        ask = Acknowledge(args.rule, args.device, args.who or getpass.getuser(), args.why)
        return _leave(configuration, ask, clock)
    except (ConfigurationError, StoreError, OSError) as error:
        return _fail(error)


def run_silence(args: argparse.Namespace) -> int:
    """Ask the watch for a silence, and wait until it holds."""
    from ingest.alerts.desk import AskSilence
    from ingest.rules import RULES

    clock = SystemClock(args.city_time)
    try:
        configuration = _configuration(args.file)
        now_ms = clock.now_ms()
        until_ms = until(args.until, now_ms, configuration.alerts.zone)
        if args.rule and args.rule not in RULES:
            print(f"no rule {args.rule}: one of {', '.join(RULES)}", file=sys.stderr)
            return UNUSABLE
        who = args.who or getpass.getuser()
        ask = AskSilence(until_ms, who, args.why, args.rule, args.device, args.site)
        return _leave(configuration, ask, clock)
    except (ConfigurationError, ValueError, OSError) as error:
        return _fail(error)


def until(text: str, now_ms: int, zone: tzinfo) -> int:
    """The moment that `2h`, `now` or a local date and time mean.

    Raises:
        ValueError: it is none of them.
    """
    if text == "now":
        return now_ms
    if span := _SPAN.fullmatch(text):
        ahead = timedelta(**{_UNITS[span[2]]: int(span[1])})
        return now_ms + int(ahead.total_seconds() * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2h, 30m, 3d or 2026-11-23T06:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)


def _leave(configuration: IngestConfiguration, ask: Ask, clock: SystemClock) -> int:
    from ingest.alerts.desk import desk_path, leave_ask

    desk = desk_path(Path(configuration.watch.registry_path))
    left = leave_ask(desk, ask, clock.now_ms())
    return 0 if taken_up_or_said(left, clock) else NOT_DONE


def _line(alert: Alert, zone: tzinfo) -> str:
    from ingest.alerts.message import shown_value
    from ingest.rules import RULES

    rule = RULES[alert.rule]
    words = [alert.level.name.lower(), rule.severity.value, alert.rule, alert.place.device]
    words += [f"{alert.place.site}/{alert.place.zone}", _moment(alert.since_ms, zone)]
    words += filter(None, [shown_value(rule, alert.value), alert.note])
    return "  ".join(words)


def _past_line(past: Past, zone: tzinfo) -> str:
    words = [_moment(past.found_ms, zone), past.became, past.rule, past.place.device]
    words.append(f"at {_moment(past.at_ms, zone)}")
    words += filter(None, [past.who, past.why])
    return "  ".join(words)


def _moment(time_ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(time_ms / 1000, zone).strftime("%Y-%m-%d %H:%M")


def _configuration(file: Path) -> IngestConfiguration:
    from ingest.configuration import read_configuration

    return read_configuration(file)


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return UNUSABLE
