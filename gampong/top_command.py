"""`gampong edge top gateway.toml`: links, devices, outbox and uplink in a terminal, each second.

In: the outbox file, beside the agent, and its metrics where `[metrics]` is switched on: links and
uplink are known only from there. Out: a screen of 80 by 24 or what the terminal has, plain text,
readable over a slow ssh, in the shell's language; `--once` prints it once. Devices that are late
come first. Exit code: 0, or 2 when the configuration or the outbox can't be read.
"""

from __future__ import annotations

import argparse
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gampong.spoken import complain, spoken
from wire.sentence import Told, told

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
    why_not: Told


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
        complain("edge top", error)
        return UNUSABLE


def screen(
    configuration: EdgeConfiguration, view: View, columns: int = 80, rows: int = 24
) -> list[str]:
    """The lines, one fewer than the terminal has so that it doesn't scroll, each cut to its width.
    Links and devices that don't fit are counted."""
    lines = [*_head(configuration, view), "", *_links(view, room=max(2, (rows - 8) // 3)), ""]
    devices = list(_devices(configuration, view))
    room = max(1, rows - 1 - len(lines) - 1)
    device, value, age = spoken(told("DEVICE")), spoken(told("VALUE")), spoken(told("AGE"))
    lines.append(_row(device, value, age, spoken(told("STATE"))))
    if len(devices) > room:
        cut = len(devices) - room + 1
        more = spoken(told("… and {cut} more, none of them later than these", cut=cut))
        devices = [*devices[: room - 1], more]
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


def _metrics(configuration: EdgeConfiguration) -> tuple[list[Sample] | None, Told]:
    import http.client  # not above: the agent registers this command, too

    from wire.configuration import listening

    where = listening(configuration.metrics, "")
    if where is None:
        return None, told('set [metrics] listen = "127.0.0.1:9464"')
    connection = http.client.HTTPConnection(*where, timeout=METRICS_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status != http.client.OK:
            return None, told("{text}", text=text.strip())
        return list(parse_metrics(text)), told("")
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error) or told("no answer")
        if isinstance(error, OSError) and error.strerror:
            why = Told(error.strerror, error.strerror, {})
        listen = configuration.metrics.listen
        return None, told("is the agent running? {listen}: {why}", listen=listen, why=why)
    finally:
        connection.close()


def _head(configuration: EdgeConfiguration, view: View) -> Iterator[str]:
    gateway, summary = configuration.gateway, view.summary
    at = time.strftime("%H:%M:%S", time.gmtime(view.now_ms / 1000))
    yield f"{gateway.name}  {gateway.site}  {at} UTC"
    yield _labelled(told("uplink"), _uplink(view))
    yield _labelled(told("outbox"), _outbox(view))
    ledger = summary.ledger
    rejected, dropped = sum(ledger.rejected.values()), sum(ledger.dropped.values())
    readings = told(
        "{accepted} accepted, {stored} stored, {waiting} waiting, {rejected} rejected, "
        "{dropped} dropped",
        accepted=ledger.accepted,
        stored=ledger.stored,
        waiting=ledger.waiting,
        rejected=rejected,
        dropped=dropped,
    )
    yield _labelled(told("readings"), readings)
    raised = {*summary.alarms, *(one.labels["alarm"] for one in _named(view, "alarm"))}
    alarms = ", ".join(sorted(raised)) or told("none")
    yield _labelled(told("alarms"), told("{alarms}", alarms=alarms))


def _labelled(label: Told, text: Told) -> str:
    return f"{spoken(label):<8} {spoken(text)}"


def _uplink(view: View) -> Told:
    if view.samples is None:
        return told("not known: {why}", why=view.why_not)
    is_up, trusted = _value(view, "uplink_connected"), _value(view, "clock_trusted")
    count, sum_s = _value(view, "confirm_seconds_count"), _value(view, "confirm_seconds_sum")
    confirmed = told("none confirmed")
    if count:
        each_s = sum_s / count
        confirmed = told("{count:.0f} confirmed, {each_s:.2g} s each", count=count, each_s=each_s)
    state = told("connected") if is_up else told("NOT CONNECTED")
    said = told("{state}, {confirmed} since the start", state=state, confirmed=confirmed)
    return said if trusted else told("{said}, the clock isn't trusted yet", said=said)


def _outbox(view: View) -> Told:
    summary = view.summary
    share = summary.bytes / summary.bytes_max if summary.bytes_max else 0.0
    text = told("{count} batches wait", count=summary.waiting_batches)
    if summary.oldest_waiting_ms:
        age = _age(view.now_ms - summary.oldest_waiting_ms)
        text = told("{waiting}, the oldest reading {age} old", waiting=text, age=age)
    text = told("{waiting}; {share:.0%} full", waiting=text, share=share)
    if summary.hours_left is None:
        return text
    return told("{waiting}, {hours:.0f} h of room", waiting=text, hours=summary.hours_left)


def _links(view: View, room: int) -> Iterator[str]:
    name, state = spoken(told("LINK")), spoken(told("STATE"))
    yield f"{name:<24} {state:<6} {spoken(told('ERRORS SINCE THE START'))}"
    links = sorted(_named(view, "link_up"), key=lambda one: (one.value, one.labels["link"]))
    for link in links[:room]:
        name = link.labels["link"]
        errors = [
            f"{one.labels['reason']} {one.value:.0f}"
            for one in _named(view, "link_errors_total")
            if one.labels["link"] == name
        ]
        state = spoken(told("up") if link.value else told("DOWN"))
        yield f"{name:<24} {state:<6} {', '.join(errors) or spoken(told('none'))}"
    if len(links) > room:
        yield spoken(told("… and {cut} more", cut=len(links) - room))


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
            never = spoken(told("never heard of"))
            found.append((float("inf"), _row(device.name, "-", "-", never)))
            continue
        age_ms = max(0, view.now_ms - state.time_ms)
        late = age_ms / (1000 * expiry_s(device, driver, configuration.outbox.seal_interval_s))
        said = told("unknown") if late > 1 else told("fresh")
        if device.maintenance:
            said = told("maintenance")
        value = "-"  # stale never looks fresh
        if late <= 1 and state.main is not None:
            value = f"{KINDS[driver.kind].state} {state.main:g} {state.condition}"
        elif late <= 1 and state.raw is not None:
            value = f"{driver.raw_field} {state.raw:g} {state.condition}"
        found.append((late, _row(device.name, value, spoken(_age(age_ms)), spoken(said))))
    return (line for _, line in sorted(found, key=lambda item: (-item[0], item[1])))


def _row(name: str, value: str, age: str, said: str) -> str:
    return f"{name[:24]:<24} {value[:30]:<30} {age:>8}  {said}"


def _named(view: View, name: str) -> list[Sample]:
    return [sample for sample in view.samples or () if sample.name == name]


def _value(view: View, name: str) -> float:
    return next((sample.value for sample in _named(view, name)), 0.0)


def _age(age_ms: float) -> Told:
    seconds = age_ms / 1000
    if seconds >= 2 * 86_400:
        return told("{days:.0f} d", days=seconds / 86_400)
    if seconds >= 2 * 3600:
        return told("{hours:.0f} h", hours=seconds / 3600)
    if seconds >= 2 * 60:
        return told("{minutes:.0f} min", minutes=seconds / 60)
    return told("{seconds:.0f} s", seconds=max(0.0, seconds))
