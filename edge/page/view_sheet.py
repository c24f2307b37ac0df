"""The commissioning sheet, on the phone and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from edge.commissioning import Entry, Fate
from edge.configuration import Device
from edge.page.html import Child, Markup, joined, tag
from edge.page.texts import Words
from edge.page.view import Frame, button, chip, hex_of, plain, stamp


def sheet(frame: Frame, devices: Sequence[Device], entries: Mapping[str, Entry]) -> Markup:
    """Each device with its entry; what isn't done yet comes last."""
    words = frame.words
    done = [entries[device.name] for device in devices if device.name in entries]
    passed = sum(entry.passed for entry in done)
    summary = words(
        "sheet.summary", passed=passed, failed=len(done) - passed, open=len(devices) - len(done)
    )
    ordered = sorted(devices, key=lambda device: (device.name not in entries, device.name))
    return tag(
        "div",
        tag(
            "section",
            tag("h2", words("sheet.title")),
            tag("p", f"{frame.name} · {frame.site} · {stamp(frame.now_ms)}"),
            tag("p", summary),
            tag(
                "div",
                button(words("sheet.print"), "second", type="button", hidden=True, data_print=True),
                class_="buttons",
            ),
        ),
        *(_device(words, device, entries.get(device.name)) for device in ordered),
        class_="sheet",
    )


def _device(words: Words, device: Device, entry: Entry | None) -> Markup:
    name = tag("a", device.label or device.name, href=f"/device?name={quote(device.name)}")
    if entry is None:
        return tag("section", tag("h3", name, chip(words("sheet.open"), "warn")))
    verdict = chip(words("sheet.passed"), "good")
    if not entry.passed:
        verdict = chip(words("sheet.failed"), "bad")
    when = stamp(entry.at_ms)
    if not entry.time_trusted:
        when += f" ({words('sheet.untrusted')})"
    read = ", ".join(f"{field} {plain(value)}" for field, value in sorted(entry.fields.items()))
    rows: list[tuple[str, Child]] = [
        (words("sheet.device"), f"{entry.device}, {entry.driver}"),
        (words("sheet.when"), when),
        (words("device.raw"), hex_of(bytes.fromhex(entry.raw))),
        (words("device.decoded"), read),
        (words("sheet.point"), tag("code", entry.point) if entry.point else None),
        (words("sheet.way"), _way(words, entry)),
    ]
    if entry.place:
        rows.append((words("sheet.place"), f"{entry.place.latitude}, {entry.place.longitude}"))
    if entry.note:
        rows.append((words("way.note"), entry.note))
    listed = [joined(tag("dt", key), tag("dd", value)) for key, value in rows if value]
    return tag("section", tag("h3", name, verdict), tag("dl", *listed), data_entry=entry.device)


def _way(words: Words, entry: Entry) -> str:
    said = words("way.rejected", why=entry.why)
    if entry.fate is not Fate.REJECTED:
        said = words(f"way.{entry.fate}")
    if entry.round_trip_ms is not None:
        said += f", {words('way.round_trip', seconds=f'{entry.round_trip_ms / 1000:.2f}')}"
    return said
