"""The first page: how the gateway is, and each device's newest reading with its age.

In: the agent's status and the newest accepted line of each device. Out: HTML that is replaced every
two seconds. Stale never looks fresh: a late device has no value, and what is late comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from devices.driver import Driver
from devices.kinds import KINDS
from devices.reading import Reading, Value
from edge.configuration import Device
from edge.onlooker import Seen
from edge.page.html import Markup, joined, tag
from edge.page.texts import Words
from edge.page.view import chip, moment
from wire.messages import LinkStatus, Status

GOOD_RSSI_DBM, POOR_RSSI_DBM = -105.0, -118.0
POOR_SNR_DB = -12.0
"""LoRa at SF12 is decoded down to −20 dB and about −137 dBm (SX1276); a margin of 8 dB and more for
rain, leaves and a car over the sensor."""

ERRORS_SHOWN = 4


class DeviceNow(NamedTuple):
    """One device: its newest accepted reading, None without one, and the age it expires at."""

    device: Device
    driver: Driver
    reading: Reading | None
    expiry_ms: int

    def state(self, now_ms: int) -> str:
        """`fresh`, `late`, `silent`, `maintenance`."""
        if self.device.maintenance:
            return "maintenance"
        if self.reading is None:
            return "silent"
        return "late" if now_ms - self.reading.time_ms > self.expiry_ms else "fresh"


_TONES = {"fresh": "good", "late": "bad", "silent": "bad", "maintenance": "warn"}


def status(words: Words, seen: Seen, devices: Sequence[DeviceNow], now_ms: int) -> Markup:
    """All of it."""
    said = seen.status
    alarms = [words.word("alarm", name) for name in said.alarms]
    return joined(
        tag("div", "; ".join(alarms), class_="banner bad", role="alert") if alarms else None,
        tiles(words, seen, now_ms),
        tag("section", tag("h2", words("status.devices")), listed(words, devices, now_ms)),
        tag("section", tag("h2", words("status.links")), *links(words, said.links)),
        tag("p", _ledger(words, said), class_="quiet"),
    )


def tiles(words: Words, seen: Seen, now_ms: int) -> Markup:
    """Cloud, backlog, room, clock."""
    said, times = seen.status, seen.confirm_times
    key = "status.connected" if said.online else "status.not_connected"
    told = words("status.none_confirmed")
    if times.count:
        seconds = f"{times.sum_s / times.count:.1f}"
        told = words("status.confirmed", count=times.count, seconds=seconds)
    waiting = tag("small", words("status.nothing_waits"))
    if said.oldest_waiting_ms:
        waiting = tag("small", words("status.oldest"), " ", moment(said.oldest_waiting_ms))
    percent = round(100 * said.outbox_bytes / max(1, said.outbox_bytes_max))
    known = said.clock == "trusted"
    clock = words("status.trusted" if known else "status.untrusted")
    hint = "" if known else words("status.untrusted_hint")
    return tag(
        "div",
        _tile(words("status.cloud"), words(key), tag("small", told), is_bad=not said.online),
        _tile(
            words("status.waiting"), words("status.readings", count=said.ledger.waiting), waiting
        ),
        _tile(
            words("status.room"),
            words("status.full", percent=percent),
            tag("meter", min=0, max=100, high=80, optimum=0, value=percent),
        ),
        _tile(words("status.clock"), clock, tag("small", hint), is_bad=not known),
        class_="tiles",
    )


def listed(words: Words, devices: Sequence[DeviceNow], now_ms: int) -> Markup:
    """Devices, the latest first."""
    if not devices:
        return tag("p", words("status.no_devices"), class_="quiet")
    order = {"late": 0, "silent": 0, "maintenance": 1, "fresh": 2}
    ordered = sorted(devices, key=lambda one: (order[one.state(now_ms)], one.device.name))
    return tag("ul", *(_row(words, one, now_ms) for one in ordered), class_="devices")


def links(words: Words, states: Sequence[LinkStatus]) -> list[Markup]:
    """A line a link, with its commonest errors."""
    lines = []
    for link in states:
        is_up = link.state == "up"
        commonest = sorted(link.errors.items(), key=lambda item: -item[1])[:ERRORS_SHOWN]
        errors = ", ".join(f"{why} {count}" for why, count in commonest)
        lines.append(
            tag(
                "p",
                tag("b", link.name),
                " ",
                chip(words("status.up" if is_up else "status.down"), "good" if is_up else "bad"),
                f" {link.detail} " if link.detail else " ",
                tag("small", f"{words('status.errors')}: {errors}") if errors else None,
            )
        )
    return lines


def value_of(words: Words, driver: Driver, fields: Mapping[str, Value]) -> str:
    """What an operator reads first; the sensor's own measure where its mounting isn't known."""
    kind = KINDS[driver.kind]
    value = fields.get(kind.state)
    if value is None:
        raw = fields.get(driver.raw_field)
        return (
            "" if raw is None else f"{_short(raw)} {_unit(driver.kind, driver.raw_field)}".strip()
        )
    if kind.state == "occupied":
        return words("value.occupied" if value else "value.free")
    if kind.state == "filling_level" and isinstance(value, int | float):
        return f"{100 * value:.0f} %"
    return f"{_short(value)} {_unit(driver.kind, kind.state)}".strip()


def signal(words: Words, fields: Mapping[str, Value]) -> Markup | None:
    """How well its radio is heard, None for a wired one."""
    rssi, snr = fields.get("rssi_dbm"), fields.get("snr_db")
    if not isinstance(rssi, int | float):
        return None
    text = f"{rssi:g} dBm"
    tone = "good" if rssi >= GOOD_RSSI_DBM else "warn"
    if isinstance(snr, int | float):
        text += f" · {snr:g} dB"
        tone = "bad" if snr < POOR_SNR_DB else tone
    tone = "bad" if rssi < POOR_RSSI_DBM else tone
    word = {"good": "good", "warn": "fair", "bad": "poor"}[tone]
    return joined(tag("small", text), " ", chip(words(f"status.{word}"), tone))


def _row(words: Words, one: DeviceNow, now_ms: int) -> Markup:
    state = one.state(now_ms)
    fields = one.reading.fields if one.reading else {}
    quality = str(fields.get("quality", "ok"))
    shown = value_of(words, one.driver, fields) if state == "fresh" else "–"
    age: Markup | str = moment(one.reading.time_ms) if one.reading else words("page.never")
    heard = signal(words, fields)
    return tag(
        "li",
        tag(
            "a",
            tag("span", one.device.label or one.device.name, class_="name"),
            tag("span", shown, class_="value"),
            tag("span", tag("small", f"{one.device.name} · ", age), class_="age"),
            tag(
                "span",
                chip(words(f"state.{state}"), _TONES[state]),
                chip(quality, "warn") if state == "fresh" and quality != "ok" else None,
                class_="end",
            ),
            tag("span", heard) if heard else None,
            href=f"/device?name={quote(one.device.name)}",
            data_device=one.device.name,
        ),
    )


def _tile(title: str, text: str, below: Markup, is_bad: bool = False) -> Markup:
    tone = "card bad" if is_bad else "card"
    return tag("div", tag("h3", title), tag("b", text), below, class_=tone)


def _ledger(words: Words, said: Status) -> str:
    ledger = said.ledger
    return words(
        "status.ledger",
        accepted=ledger.accepted,
        stored=ledger.stored,
        rejected=sum(ledger.rejected.values()),
        dropped=sum(ledger.dropped.values()),
    )


def _unit(kind: str, field: str) -> str:
    known = KINDS[kind].fields.get(field)
    return known.unit if known else ""


def _short(value: Value) -> str:
    return f"{value:g}" if isinstance(value, int | float) else value
