"""`gampong edge top gateway.toml`: links, devices, outbox and uplink in a terminal, each second.

In: the outbox file, beside the agent, and its metrics where `[metrics]` is switched on: links and
uplink are known only from there. Out: a screen of 80 by 24 or what the terminal has, plain text,
readable over a slow ssh; `--once` prints it once. Devices that are late come first. Exit code: 0,
or 2 when the configuration or the outbox can't be read.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge.configuration import EdgeConfiguration
    from edge.meaning_state import State
    from edge.outbox_reader import OutboxSummary

UNUSABLE = 2
EVERY_S, METRICS_S = 1.0, 1.0
_HOME, _TO_END_OF_LINE, _TO_END = "\x1b[H", "\x1b[K", "\x1b[J"
_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    """One line of `/metrics`."""

    name: str
    labels: dict[str, str]
    value: float


class View(NamedTuple):
    """Everything a screen shows. `samples` is None without metrics, `why_not` says why then."""

    now_ms: int
    summary: OutboxSummary
    states: dict[str, State]
    samples: list[Sample] | None
    why_not: str


def configure(words: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `top` to the words of `edge`."""
    parser = words.add_parser(
        "top",
        help="links, devices, outbox and uplink, live",
        description="Looks from beside the running agent and changes nothing. Links and uplink "
        'come from [metrics] listen = "127.0.0.1:9464". Ctrl-C ends it.',
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="gateway.toml")
    parser.add_argument("--once", action="store_true", help="print it once, without escapes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong edge top`."""
    from edge.configuration import load_configuration
    from edge.outbox_file import OutboxError
    from wire.configuration import ConfigurationError

    try:
        text = arguments.file.read_text(encoding="utf-8")
        configuration = load_configuration(text, str(arguments.file))
        while True:
            size = shutil.get_terminal_size((80, 24))
            lines = screen(configuration, _look(configuration), size.columns, size.lines)
            if arguments.once:
                print("\n".join(lines))
                return 0
            shown = "".join(f"{line}{_TO_END_OF_LINE}\n" for line in lines)
            print(f"{_HOME}{shown}{_TO_END}", end="", flush=True)
            time.sleep(EVERY_S)
    except (ConfigurationError, OutboxError, OSError, UnicodeDecodeError) as error:
        print(f"gampong edge top: {error}", file=sys.stderr)
        return UNUSABLE


def screen(
    configuration: EdgeConfiguration, view: View, columns: int = 80, rows: int = 24
) -> list[str]:
    """The lines, one fewer than the terminal has so that it doesn't scroll, each cut to its width.
    Links and devices that don't fit are counted."""
    lines = [*_head(configuration, view), "", *_links(view, room=max(2, (rows - 8) // 3)), ""]
    devices = list(_devices(configuration, view))
    room = max(1, rows - 1 - len(lines) - 1)
    lines.append(f"{'DEVICE':<24} {'VALUE':<30} {'AGE':>8}  STATE")
    if len(devices) > room:
        cut = len(devices) - room + 1
        devices = [*devices[: room - 1], f"… and {cut} more, none of them later than these"]
    lines += devices
    return [line[:columns].rstrip() for line in lines]


def parse_metrics(text: str) -> Iterator[Sample]:
    """The samples of an exposition."""
    for line in text.splitlines():
        if found := _SAMPLE.fullmatch(line):
            labels = dict(_LABEL.findall(found[2] or ""))
            yield Sample(found[1].removeprefix("gampong_edge_"), labels, float(found[3]))


def _look(configuration: EdgeConfiguration) -> View:
    from edge.meaning_state import load_state
    from edge.outbox_export import look_at
    from wire.clock import SystemClock

    with look_at(Path(configuration.outbox.path)) as outbox:
        summary, raw = outbox.summary(), outbox.states()
    states = {name: state for name, data in raw.items() if (state := load_state(data))}
    samples, why_not = _metrics(configuration)
    return View(SystemClock().now_ms(), summary, states, samples, why_not)


def _metrics(configuration: EdgeConfiguration) -> tuple[list[Sample] | None, str]:
    import http.client  # not above: the agent registers this command, too

    from wire.configuration import listening

    where = listening(configuration.metrics, "")
    if where is None:
        return None, 'set [metrics] listen = "127.0.0.1:9464"'
    connection = http.client.HTTPConnection(*where, timeout=METRICS_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status != http.client.OK:
            return None, text.strip()
        return list(parse_metrics(text)), ""
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or "no answer"
        return None, f"is the agent running? {configuration.metrics.listen}: {why}"
    finally:
        connection.close()


def _head(configuration: EdgeConfiguration, view: View) -> Iterator[str]:
    gateway, summary = configuration.gateway, view.summary
    at = time.strftime("%H:%M:%S", time.gmtime(view.now_ms / 1000))
    yield f"{gateway.name}  {gateway.site}  {at} UTC"
    yield f"uplink   {_uplink(view)}"
    yield f"outbox   {_outbox(view)}"
    ledger = summary.ledger
    rejected, dropped = sum(ledger.rejected.values()), sum(ledger.dropped.values())
    yield (
        f"readings {ledger.accepted} accepted, {ledger.stored} stored, {ledger.waiting} waiting, "
        f"{rejected} rejected, {dropped} dropped"
    )
    raised = {*summary.alarms, *(one.labels["alarm"] for one in _named(view, "alarm"))}
    yield f"alarms   {', '.join(sorted(raised)) or 'none'}"


def _uplink(view: View) -> str:
    if view.samples is None:
        return f"not known: {view.why_not}"
    is_up, trusted = _value(view, "uplink_connected"), _value(view, "clock_trusted")
    count, sum_s = _value(view, "confirm_seconds_count"), _value(view, "confirm_seconds_sum")
    confirmed = f"{count:.0f} confirmed, {sum_s / count:.2g} s each" if count else "none confirmed"
    clock = "" if trusted else ", the clock isn't trusted yet"
    return f"{'connected' if is_up else 'NOT CONNECTED'}, {confirmed} since the start{clock}"


def _outbox(view: View) -> str:
    summary = view.summary
    share = summary.bytes / summary.bytes_max if summary.bytes_max else 0.0
    text = f"{summary.waiting_batches} batches wait"
    if summary.oldest_waiting_ms:
        text += f", the oldest reading {_age(view.now_ms - summary.oldest_waiting_ms)} old"
    text += f"; {share:.0%} full"
    return text if summary.hours_left is None else f"{text}, {summary.hours_left:.0f} h of room"


def _links(view: View, room: int) -> Iterator[str]:
    yield f"{'LINK':<24} {'STATE':<6} ERRORS SINCE THE START"
    links = sorted(_named(view, "link_up"), key=lambda one: (one.value, one.labels["link"]))
    for link in links[:room]:
        name = link.labels["link"]
        errors = [
            f"{one.labels['reason']} {one.value:.0f}"
            for one in _named(view, "link_errors_total")
            if one.labels["link"] == name
        ]
        yield f"{name:<24} {'up' if link.value else 'DOWN':<6} {', '.join(errors) or 'none'}"
    if len(links) > room:
        yield f"… and {len(links) - room} more"


def _devices(configuration: EdgeConfiguration, view: View) -> Iterator[str]:
    """A line a device, what was never heard of first, then the latest in its own terms."""
    from devices.kinds import KINDS
    from edge.configuration import expiry_s
    from edge.drivers import driver_of

    found: list[tuple[float, str]] = []
    for device in configuration.device:
        driver = driver_of(configuration, device)
        state = view.states.get(device.name)
        if state is None:
            found.append((float("inf"), _row(device.name, "-", "-", "never heard of")))
            continue
        age_ms = max(0, view.now_ms - state.time_ms)
        late = age_ms / (1000 * expiry_s(device, driver, configuration.outbox.seal_interval_s))
        said = "maintenance" if device.maintenance else "unknown" if late > 1 else "fresh"
        value = "-"  # stale never looks fresh
        if late <= 1 and state.main is not None:
            value = f"{KINDS[driver.kind].state} {state.main:g} {state.condition}"
        elif late <= 1 and state.raw is not None:
            value = f"{driver.raw_field} {state.raw:g} {state.condition}"
        found.append((late, _row(device.name, value, _age(age_ms), said)))
    return (line for _, line in sorted(found, key=lambda item: (-item[0], item[1])))


def _row(name: str, value: str, age: str, said: str) -> str:
    return f"{name[:24]:<24} {value[:30]:<30} {age:>8}  {said}"


def _named(view: View, name: str) -> list[Sample]:
    return [sample for sample in view.samples or () if sample.name == name]


def _value(view: View, name: str) -> float:
    return next((sample.value for sample in _named(view, name)), 0.0)


def _age(age_ms: float) -> str:
    seconds = age_ms / 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
