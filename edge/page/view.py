"""The frame around every view, the PIN page, and small parts that views share."""

from __future__ import annotations

import time
from typing import NamedTuple

from edge.page.html import NOTHING, Child, Markup, joined, tag
from edge.page.texts import Language, Words

_LOGO = Markup(
    '<svg viewBox="0 0 32 32" aria-hidden="true"><path d="M4 15 16 5l12 10M7 13v14h18V13"/>'
    '<path d="M12 20a6 6 0 0 1 8 0M14 23a3 3 0 0 1 4 0"/></svg>'
)
_HEX_MAX = 128


class Frame(NamedTuple):
    """What every page of a session needs. `token` goes into each form; `changed` says that a
    configuration waits to be taken up."""

    words: Words
    name: str
    site: str
    now_ms: int
    token: str = ""
    changed: bool = False


def whole(frame: Frame, path: str, *children: Child, refresh_s: int = 0) -> bytes:
    """A page of a session."""
    words = frame.words
    links = [("/", "status"), ("/scan", "scan"), ("/sheet", "sheet")]
    nav = [
        tag("a", words(f"page.{key}"), href=at, aria_current="page" if at == path else None)
        for at, key in links
    ]
    head = tag(
        "header",
        _LOGO,
        tag("div", tag("h1", frame.name), tag("p", frame.site)),
        language_link(words),
        form(frame, "/out", button(words("page.leave"), "second small")),
    )
    lost = tag("div", words("page.lost"), class_="banner bad", id="lost", role="alert")
    changed = banner_changed(frame) if frame.changed else None
    inner = joined(head, tag("nav", *nav), lost, changed, tag("main", *children))
    return document(frame, inner, refresh_s)


def document(frame: Frame, inner: Markup, refresh_s: int = 0) -> bytes:
    """Bytes of an HTML document."""
    words = frame.words
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="refresh", content=refresh_s) if refresh_s else None,
        tag("title", frame.name),
        tag("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        tag("link", rel="stylesheet", href="/page.css"),
        tag("script", src="/page.js", defer=True),
    )
    body = tag(
        "body",
        inner,
        data_now=frame.now_ms,
        data_units=words("page.units"),
        data_ago=words("page.ago"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang=words.language)}\n".encode()


def entry(words: Words, problem: str, now_ms: int) -> bytes:
    """The PIN page: all that a stranger sees. It doesn't say whose gateway it is."""
    frame = Frame(words, "gampong", "", now_ms)
    pin = tag(
        "input",
        type="password",
        name="pin",
        id="pin",
        class_="pin",
        inputmode="numeric",
        autocomplete="current-password",
        maxlength=12,
        required=True,
        autofocus=True,
    )
    card = tag(
        "section",
        tag("h1", words("entry.title")),
        tag("p", problem, class_="banner bad", role="alert") if problem else None,
        tag(
            "form",
            tag("label", words("entry.pin"), for_="pin"),
            pin,
            button(words("entry.enter")),
            method="post",
            action="/pin",
        ),
        tag("p", words("entry.hint"), class_="quiet"),
    )
    return document(frame, tag("main", card, language_link(words), class_="entry"))


def banner_changed(frame: Frame) -> Markup:
    """A configuration waits."""
    again = form(frame, "/again", button(frame.words("page.begin_anew")))
    return tag("div", frame.words("page.changed"), again, class_="banner warn")


def language_link(words: Words) -> Markup:
    other = next(one for one in Language if one is not words.language)
    at = f"/language?to={other}"
    return tag("a", words("page.other_language"), href=at, class_="lang", lang=other)


def form(frame: Frame, action: str, *children: Child, **hidden: str) -> Markup:
    """A form with the session's token, and values that nobody types."""
    fields = {"token": frame.token, **hidden}
    inputs = [tag("input", type="hidden", name=name, value=v) for name, v in fields.items()]
    return tag("form", *inputs, *children, method="post", action=action)


def button(text: str, class_: str = "", **attributes: str | bool) -> Markup:
    return tag("button", text, class_=class_ or None, **attributes)


def chip(text: str, tone: str) -> Markup:
    """A word on a ground: `good`, `warn` or `bad`."""
    return tag("span", text, class_=f"chip {tone}")


def moment(ms: int) -> Markup:
    """A time, which the script turns into an age."""
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))
    return tag("time", text, data_ms=ms)


def stamp(ms: int) -> str:
    """A time that stays as it is: for paper."""
    return time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(ms / 1000))


def hex_of(data: bytes) -> Markup:
    """Bytes apart, as on a datasheet."""
    shown = data[:_HEX_MAX].hex(" ")
    more = "" if len(data) <= _HEX_MAX else f" … {len(data)} B"
    return tag("code", shown + more, class_="hex") if data else NOTHING


def plain(value: object) -> str:
    """A value without a decimal that says nothing."""
    return str(value).removesuffix(".0")


def table_of(fields: object) -> Markup:
    """Names and values."""
    pairs = sorted(fields.items()) if isinstance(fields, dict) else []
    shown = ((name, plain(value)) for name, value in pairs)
    return tag("dl", *(joined(tag("dt", name), tag("dd", text)) for name, text in shown))
