"""The public page, written on the server: free bays by zone, bins by state, WiFi corners up.

Every text from a device or a site goes through the template's escaping. What the script asks for
(`/live`) is the same part of the page without the ages' words, which it counts by itself: so it
changes only when the city does, and who asks is told 304 in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup

from dashboards.opendata.city import City
from dashboards.opendata.records import Zone, utc
from dashboards.states import LOOKS, State
from dashboards.texts import Language, words

HERE = Path(__file__).parent
ZONES_MAX = 60
"""Zones a section: the rest is in the data."""

_WANTED = {
    "parking_spot": ("parking", "free"),
    "waste_container": ("waste", "full"),
    "wifi_access_point": ("wifi", "up"),
}
"""Kind → its section's word, and the state that is counted first."""


class Group(msgspec.Struct, frozen=True):
    """A zone, or all of them: the number, what it is of, and every state's count."""

    kind: str
    id: str
    name: str
    number: int | None
    of: str
    states: list[tuple[str, int]]
    ms: int


class Section(msgspec.Struct, frozen=True):
    """One kind on the page."""

    kind: str
    word: str
    total: Group
    zones: list[Group]
    people: str | None
    more: str


class PublicPage:
    """The page over a city."""

    def __init__(self, city: City) -> None:
        self._city = city
        templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._whole, self._live = (
            templates.get_template("page.html"),
            templates.get_template("live.html"),
        )
        self._sprite = Markup((HERE / "assets" / "shapes.svg").read_text(encoding="utf-8"))

    def whole(self, language: Language) -> bytes:
        """The page, with ages as they are now."""
        settings, text = self._city.settings, _texts(language)
        now_ms = self._city.clock.now_ms()
        live = self._filled(language, lambda ms: age_text(now_ms - ms, text))
        return self._whole.render(
            t=text,
            language=language.value,
            other=next(each.value for each in Language if each is not language),
            publisher=settings.publisher,
            licence=settings.licence,
            licence_url=settings.licence_url,
            people_step=settings.people_step,
            time_zone=settings.time_zone,
            sprite=self._sprite,
            live=Markup(live),
        ).encode()

    def live(self, language: Language) -> bytes:
        """Its part that moves, without words for ages."""
        return self._filled(language, lambda _: "").encode()

    def _filled(self, language: Language, age: Callable[[int], str]) -> str:
        text = _texts(language)
        zones = self._city.zones(self._city.devices())
        return self._live.render(
            t=text,
            away=self._city.away,
            sections=[
                _section(kind, found, text)
                for kind in _WANTED
                if (found := [zone for zone in zones if zone.kind == kind])
            ],
            glyphs={state.value: look.glyph for state, look in LOOKS.items()},
            age_text=age,
            iso=utc,
        )


def style() -> bytes:
    """A rule for each state's colours, from the one table that has them; unknown is hatched."""
    rules = [
        f".s-{state} {{ --fill: {look.fill}; --on: {look.ink}; }}" for state, look in LOOKS.items()
    ]
    return "\n".join([*rules, f".s-{State.UNKNOWN} {{ --fill: url(#hatch); }}"]).encode()


def manifest(city: City) -> bytes:
    """What a phone needs to put the page on its home screen."""
    name = city.settings.publisher or "gampong"
    icon = {"src": "/assets/icon.svg", "sizes": "any", "type": "image/svg+xml"}
    return msgspec.json.encode(
        {
            "name": name,
            "short_name": name[:24],
            "start_url": "/",
            "display": "standalone",
            "background_color": "#efece4",
            "theme_color": "#0072b2",
            "icons": [icon],
        }
    )


def age_text(age_ms: int, text: dict[str, str]) -> str:
    """An age in words, as the script counts it on."""
    seconds = max(0, age_ms // 1000)
    for unit, below, length in (
        ("seconds", 60, 1),
        ("minutes", 3600, 60),
        ("hours", 172_800, 3600),
    ):
        if seconds < below:
            return text[f"age.{unit}"].replace("{n}", str(seconds // length))
    return text["age.days"].replace("{n}", str(seconds // 86_400))


def _texts(language: Language) -> dict[str, str]:
    return words(language) | words(language, HERE / "texts.toml")


def _section(kind: str, zones: list[Zone], text: dict[str, str]) -> Section:
    word, wanted = _WANTED[kind]
    groups = [_group(zone, wanted, text) for zone in zones]
    known = [group.number for group in groups if group.number is not None]
    sums = {state: sum(zone.states[state] for zone in zones) for state in zones[0].states}
    total = Group(
        kind=kind,
        id="",
        name="",
        number=sum(known) if known else None,
        of=text[f"public.{wanted}"].replace("{n}", str(sum(zone.devices for zone in zones))),
        states=list(sums.items()),
        ms=max(group.ms for group in groups),
    )
    left = len(groups) - ZONES_MAX
    more = text["public.more"].replace("{n}", str(left)) if left > 0 else ""
    people = _people(zones, text) if kind == "wifi_access_point" else None
    return Section(kind, word, total, groups[:ZONES_MAX], people, more)


def _group(zone: Zone, wanted: str, text: dict[str, str]) -> Group:
    return Group(
        kind=zone.kind,
        id=f"{zone.site}/{zone.zone}",
        name=f"{_spoken(zone.site)} · {_spoken(zone.zone)}",
        number=None if zone.number is None else zone.states[wanted],
        of=text[f"public.{wanted}"].replace("{n}", str(zone.devices)),
        states=list(zone.states.items()),
        ms=_ms(zone.time),
    )


def _people(zones: Iterable[Zone], text: dict[str, str]) -> str:
    known = [zone.number for zone in zones if zone.number is not None]
    if not known:
        return text["public.people_unknown"]
    return text["public.people"].replace("{n}", str(sum(known)))


def _spoken(name: str) -> str:
    """A site's name for people: `pasar-mahirah` is Pasar Mahirah."""
    return " ".join(word.capitalize() for word in name.replace("_", "-").split("-") if word)


def _ms(time: str | None) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000) if time else 0
