"""One device: what it says now, its calibration, and its commissioning."""

from __future__ import annotations

from urllib.parse import quote

from devices.driver import LorawanLink, TopicLink
from devices.reading import Undecodable
from edge.calibration import Target
from edge.commissioning import Fate
from edge.page.ears import Heard, Trouble, Way
from edge.page.html import Child, Markup, joined, tag
from edge.page.texts import Words
from edge.page.view import Frame, button, form, hex_of, moment, table_of
from edge.page.view_status import DeviceNow, signal, value_of

NOTE_MAX = 200


def heading(words: Words, one: DeviceNow) -> Markup:
    """Who it is."""
    device, driver = one.device, one.driver
    what = f"{words('device.driver')} {driver.name} · {words('device.link')} {device.link}"
    if device.unit is not None:
        what += f" · {device.unit}"
    return tag(
        "section",
        tag("h2", device.label or device.name),
        tag("p", f"{device.name} · {driver.vendor} {', '.join(driver.models[:3])}"),
        tag("p", f"{what} {device.dev_eui}", class_="quiet"),
    )


def newest(
    words: Words, one: DeviceNow, heard: Heard | None, trouble: Trouble | None, heard_ms: int
) -> Markup:
    """The live part: the newest frame, what its driver reads, and what was accepted last."""
    parts: list[Child] = [tag("h2", words("device.newest"))]
    if heard is None:
        parts.append(tag("p", words("device.nothing"), class_="quiet"))
    else:
        try:
            said = table_of(dict(heard.decoded(one.device, one.driver).fields))
        except Undecodable as error:
            said = tag("p", words("device.refused", why=str(error)), class_="banner bad")
        parts += [
            tag("p", moment(heard_ms)),
            tag("h3", words("device.raw")),
            tag("p", _raw(words, heard)),
            tag("h3", words("device.decoded")),
            said,
        ]
    if trouble:
        text = words("device.in_vain", times=trouble.times, why=trouble.last)
        parts.append(tag("p", text, class_="quiet"))
    parts.append(tag("h3", words("device.sealed")))
    if one.reading:
        fields = one.reading.fields
        parts += [
            tag(
                "p", tag("b", value_of(words, one.driver, fields)), " ", moment(one.reading.time_ms)
            ),
            signal(words, fields),
            table_of(dict(fields)),
        ]
    else:
        parts.append(tag("p", words("device.none_sealed"), class_="quiet"))
    return joined(*parts)


def calibration(frame: Frame, one: DeviceNow, targets: list[Target]) -> Markup | None:
    """Forms for what it can be calibrated for."""
    words, device = frame.words, one.device
    title = tag("h2", words("calibrate.title"))
    if isinstance(one.driver.link, LorawanLink | TopicLink):
        return tag("section", title, tag("p", words("calibrate.radio"), class_="quiet"))
    if not targets:
        return None
    height: Markup | None = None
    if device.container is None and Target.FREE not in targets:
        height = joined(
            tag("label", words("calibrate.height"), for_="height"),
            tag("input", type="text", inputmode="numeric", name="height", id="height", maxlength=6),
        )
    anyway = tag(
        "label",
        tag("input", type="checkbox", name="anyway", value="1"),
        words("calibrate.anyway"),
        class_="check",
    )
    buttons = [
        button(words(f"calibrate.{target}"), name="target", value=str(target)) for target in targets
    ]
    return tag(
        "section",
        title,
        tag("p", words("calibrate.hint"), class_="quiet"),
        form(
            frame,
            "/calibrate",
            height,
            anyway,
            tag("div", *buttons, class_="buttons"),
            device=device.name,
        ),
    )


def commissioning(frame: Frame, one: DeviceNow, way: Way | None) -> Markup:
    """The way of one reading, and the technician's word on it."""
    words, name = frame.words, one.device.name
    follow = button(words("way.follow"), "" if way is None else "second")
    parts: list[Child] = [
        tag("h2", words("way.title")),
        tag("p", words("way.hint"), class_="quiet"),
        form(frame, "/follow", follow, device=name),
    ]
    if way is not None:
        live = f"/live/way?name={quote(name)}"
        parts += [
            tag("div", steps(words, way), data_live=live, id="way"),
            _verdict(frame, one),
        ]
    return tag("section", *parts)


def steps(words: Words, way: Way) -> Markup:
    """How far the reading has come."""
    radio = isinstance(way.driver.link, LorawanLink | TopicLink)
    heard = way.heard
    items = [_step(words("way.asked"), "done", moment(way.asked_ms))]
    if heard is None:
        items.append(_step(words("way.wait_radio" if radio else "way.wait_wired"), ""))
        return tag("ul", *items, class_="steps")
    said = table_of(dict(way.values.fields)) if way.values else None
    items.append(_step(words("way.heard"), "done", _raw(words, heard), said))
    if not way.point:
        if not way.is_dated:
            items.append(_step(words("way.kept_clock"), ""))
        return tag("ul", *items, class_="steps")
    point = tag("code", way.point)
    is_over = way.fate in (Fate.STORED, Fate.REJECTED)
    items.append(_step(words("way.kept_before" if is_over else "way.kept"), "done", point))
    if way.fate is Fate.STORED:
        items.append(_step(words("way.stored"), "done", _round_trip(words, way)))
    elif way.fate is Fate.REJECTED:
        items.append(_step(words("way.rejected", why=way.why), "failed", _round_trip(words, way)))
    return tag("ul", *items, class_="steps", data_fate=way.fate)


def _verdict(frame: Frame, one: DeviceNow) -> Markup:
    words, place = frame.words, one.device.place
    there = f"{place.latitude}, {place.longitude}" if place else ""
    return form(
        frame,
        "/commission",
        tag("label", words("way.position"), for_="place"),
        tag("input", type="text", name="place", id="place", value=there, maxlength=64),
        tag("small", words("way.position_hint")),
        tag(
            "div",
            button(
                words("way.here"),
                "second small",
                type="button",
                hidden=True,
                data_here="place",
                data_none=words("way.no_position"),
            ),
            class_="buttons",
        ),
        tag("label", words("way.note"), for_="note"),
        tag("input", type="text", name="note", id="note", maxlength=NOTE_MAX),
        tag(
            "div",
            button(words("way.pass"), name="verdict", value="pass"),
            button(words("way.fail"), "danger", name="verdict", value="fail"),
            class_="buttons",
        ),
        device=one.device.name,
    )


def _raw(words: Words, heard: Heard) -> Markup:
    """The bytes, unless they could tell of people."""
    if heard.raw is None:
        return tag("span", words("device.private"), class_="quiet")
    return hex_of(heard.raw.data)


def _step(text: str, state: str, *below: Child) -> Markup:
    return tag("li", tag("b", text), *(tag("div", part) for part in below if part), class_=state)


def _round_trip(words: Words, way: Way) -> Markup | None:
    if way.round_trip_ms is None:
        return None
    return tag("small", words("way.round_trip", seconds=f"{way.round_trip_ms / 1000:.2f}"))
