"""Scan and calibrate: what may be done at which port, how far it is, what came of it."""

from __future__ import annotations

from collections.abc import Mapping

from edge.calibration import Verdict
from edge.page.html import Child, Markup, joined, tag
from edge.page.texts import Words
from edge.page.view import Frame, banner_changed, button, form, hex_of, plain
from edge.page.work import Kind, Work
from edge.scan import Found


def scan(frame: Frame, ports: Mapping[str, str]) -> Markup:
    """A form for each port."""
    words = frame.words
    cards: list[Child] = [
        tag("section", tag("h2", words("scan.title")), tag("p", words("scan.hint"), class_="quiet"))
    ]
    if not ports:
        cards.append(tag("section", tag("p", words("scan.none"))))
    for port, link in ports.items():
        buttons = tag(
            "div",
            button(words("scan.quick"), name="addresses", value="quick"),
            button(words("scan.all"), "second", name="addresses", value="all"),
            class_="buttons",
        )
        held = tag("p", words("scan.held", link=link), class_="quiet") if link else None
        cards.append(
            tag("section", tag("h3", port), held, form(frame, "/scan", buttons, port=port))
        )
    return joined(*cards)


def work(frame: Frame, now: Work | None) -> Markup:
    """The live part and what can be done with it."""
    live = tag("div", progress(frame, now), data_live="/live/work", id="work")
    return tag("section", live)


def progress(frame: Frame, now: Work | None) -> Markup:
    """How far it is, or what came of it, and the way to take it up."""
    words = frame.words
    if now is None:
        return tag("p", words("work.none"), class_="quiet")
    title = tag("h2", words(f"work.{now.kind}", subject=now.subject))
    if now.running:
        text = words("work.progress", done=now.done, whole=now.whole) if now.whole else ""
        return joined(
            title,
            tag("progress", max=max(1, now.whole), value=now.done),
            tag("p", f"{text} {now.step}", class_="quiet"),
            form(frame, "/stop", button(words("work.stop"), "danger")),
        )
    if now.problem:
        said = words.word("work", now.problem).format(detail=now.detail)
        return joined(title, tag("p", said, class_="banner bad"), _way_on(words, now))
    result = _calibrated(words, now) if now.kind is Kind.CALIBRATE else _scanned(frame, now)
    taken_up = banner_changed(frame) if frame.changed else None
    return joined(title, result, taken_up, _way_on(words, now))


def _calibrated(words: Words, now: Work) -> Markup:
    judged = now.judged
    if judged is None:
        return tag("p", words("work.none"))
    tone = "good" if judged.verdict is Verdict.GOOD else "warn"
    return joined(
        tag("p", words.word("work", judged.verdict), class_=f"banner {tone}"),
        tag("p", judged.seen),
        tag("p", judged.why) if judged.why else None,
        tag("p", judged.remedy.replace("--anyway", f"“{words('calibrate.anyway')}”"))
        if judged.remedy
        else None,
        tag("p", tag("code", now.written)) if now.written else None,
    )


def _scanned(frame: Frame, now: Work) -> Markup:
    words = frame.words
    if not now.found:
        return tag("p", words("scan.nothing"), class_="banner warn")
    write: Markup | None = form(frame, "/scan/write", button(words("scan.write")))
    if now.written:
        write = tag("p", words("scan.written", names=now.written), class_="banner good")
    return joined(tag("h3", words("scan.found")), *(_found(words, one) for one in now.found), write)


def _found(words: Words, one: Found) -> Markup:
    where = f"{one.baudrate} {one.parity}"
    if one.unit is not None:
        where += f", {words('scan.address', unit=one.unit)}"
    names = ", ".join(one.drivers) or words("scan.unknown")
    read = ", ".join(f"{name} {plain(value)}" for name, value in one.fields.items())
    return tag(
        "div",
        tag("p", tag("b", names), f" ({where})"),
        tag("p", read, class_="quiet") if read else None,
        tag("p", hex_of(one.raw)) if one.raw else None,
    )


def _way_on(words: Words, now: Work) -> Markup:
    if now.kind is Kind.SCAN:
        return tag("p", tag("a", words("page.back"), href="/scan"))
    return tag("p", tag("a", words("page.back"), href=f"/device?name={now.subject}"))
