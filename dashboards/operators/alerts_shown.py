"""Alerts in a viewer's words: what the list, the history and the silences show. Pure.

Texts of devices and people stand beside ours as plain values; the browser writes them as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashboards.device import Device
from dashboards.operators.parts import TableRow
from dashboards.operators.spoken import Spoken
from dashboards.states import GATEWAY, State
from dashboards.texts import Language
from ingest.alerts.current import Alert, Past
from ingest.alerts.message import MARKS, shown_value
from ingest.rules import RULES, Level, Subject
from ingest.rules.muting import Silence
from ingest.rules.standing import Place

SPANS_H = (0.5, 2, 8, 24, 72)
"""For how long one may silence, in hours."""


def list_words(spoken: Spoken) -> dict[str, Any]:
    """What the list itself says."""
    keys = ("calm", "runbook", "silence_for", "why", "acknowledge", "silence", "cancel")
    spans = [[hours, spoken.span(hours * 3_600_000)] for hours in SPANS_H]
    return {key: spoken.say(f"alerts.{key}") for key in keys} | {"spans": spans, "all": "/alerts"}


def listed(
    alerts: Iterable[Alert],
    devices: Mapping[str, Device],
    now_ms: int,
    spoken: Spoken,
    runbook_url: str = "",
) -> list[dict[str, Any]]:
    """Each alert as the list shows it, in the same order."""
    language = spoken.language.value
    found = []
    for one in alerts:
        rule = RULES[one.rule]
        found.append(
            {
                "key": f"{one.rule} {one.place.device} {one.place.site} {one.since_ms}",
                **{"rule": one.rule, "device": one.place.device, "site": one.place.site},
                "severity": rule.severity.value,
                "severity_said": spoken.say(f"severity.{rule.severity.value}"),
                "mark": MARKS[rule.severity],
                "title": rule.title.of(language),
                "value": _value(one.rule, one.value, spoken),
                "where": where(one.place, devices, spoken),
                "advice": rule.advice.of(language),
                "runbook": f"{runbook_url}#{rule.runbook}" if runbook_url else "",
                "muted": one.level is Level.MUTED,
                "note": note(one, devices, now_ms, spoken),
                "since": spoken.moment(one.since_ms, now_ms),
                "since_ms": one.since_ms,
            }
        )
    return found


def note(alert: Alert, devices: Mapping[str, Device], now_ms: int, spoken: Spoken) -> str:
    """Who has it, until when it is silent, or why nobody is told; empty where somebody is."""
    if alert.until_ms:
        until = spoken.moment(alert.until_ms, now_ms)
        return f"{spoken.say('alerts.silent_until', until)} · {alert.note}"
    if alert.who:
        return f"{spoken.say('alerts.taken_by', alert.who)}: {alert.why}"
    if alert.level is not Level.MUTED:
        return ""
    device = devices.get(alert.place.device)
    gateway = devices.get(f"{GATEWAY}/{alert.place.gateway}")
    if device is not None and device.maintenance:
        return spoken.say("alerts.in_maintenance")
    if gateway is not None and gateway.state is State.OFFLINE:
        return spoken.say("alerts.gateway_offline", alert.place.gateway)
    return spoken.say("alerts.muted")


def where(place: Place, devices: Mapping[str, Device], spoken: Spoken) -> str:
    """The thing by its label and name, and where it is."""
    device = devices.get(place.device) or devices.get(f"{GATEWAY}/{place.device}")
    name = place.device
    if device is not None and device.label and device.label != name:
        name = f"{device.label} ({name})"
    around = [place.site, place.zone]
    return " · ".join([name, *(one for one in around if one not in (place.device, "main"))])


def past_rows(
    history: Sequence[Past], devices: Mapping[str, Device], now_ms: int, spoken: Spoken
) -> list[TableRow]:
    """What became of what, the newest first. `at` is the reading's time, where it was another."""
    language = spoken.language.value
    rows = []
    for nth, one in enumerate(reversed(history)):
        rule = RULES.get(one.rule)
        title = rule.title.of(language) if rule else spoken.say("alerts.every_rule")
        at = spoken.moment(one.at_ms, now_ms)
        found = spoken.moment(one.found_ms, now_ms)
        who = f"{one.who}: {one.why}" if one.who else ""
        if one.until_ms > one.found_ms:
            until = spoken.say("alerts.silent_until", spoken.moment(one.until_ms, now_ms))
            who = f"{until} · {who}"
        rows.append(
            TableRow(
                f"{one.found_ms} {nth}",
                [
                    {"t": found, "note": "" if at == found else spoken.say("alerts.since", at)},
                    spoken.say(f"became.{one.became}"),
                    {"t": title, "note": _value(one.rule, one.value, spoken)},
                    _all(one.place, devices, spoken),
                    who,
                ],
            )
        )
    return rows


def silence_rows(silences: Iterable[Silence], now_ms: int, spoken: Spoken) -> list[dict[str, str]]:
    """The silences that hold: what is silent, until when, and by whom."""
    language = spoken.language.value
    found = []
    for one in silences:
        if one.until_ms <= now_ms:
            continue
        rule = RULES.get(one.rule)
        what = rule.title.of(language) if rule else spoken.say("alerts.every_rule")
        of = " · ".join(filter(None, (one.device, one.site))) or spoken.say("page.all_sites")
        until = spoken.say("alerts.silent_until", spoken.moment(one.until_ms, now_ms))
        found.append({"what": f"{what} · {of}", "said": f"{until} · {one.who}: {one.why}"})
    return found


def _all(place: Place, devices: Mapping[str, Device], spoken: Spoken) -> str:
    """A silence may be of all devices, or of all sites."""
    if place.device != "all":
        return where(place, devices, spoken)
    return place.site if place.site != "all" else spoken.say("page.all_sites")


def _value(rule_id: str, value: float, spoken: Spoken) -> str:
    rule = RULES.get(rule_id)
    if rule is None or rule.subject is Subject.WATCH:
        return ""
    text = shown_value(rule, value)
    return text if spoken.language is Language.ENGLISH else text.replace(".", ",")
