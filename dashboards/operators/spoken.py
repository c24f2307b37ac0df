"""Numbers, spans and moments as a viewer's language writes them. Pure.

spoken = Spoken(Language.INDONESIAN, words, zone)
spoken.number(12345.6, 1)      12.345,6
spoken.share(0.9912, 2)        99,12 %
spoken.span(5_400_000)         90 mnt
spoken.moment(time_ms, now_ms) 14:05, or 21 Nov 14:05 of another day
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo

from dashboards.texts import Language
from devices.kinds import Field
from devices.reading import Value

NOTHING = "–"
_STEPS = (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))
_MONTHS = {
    Language.INDONESIAN: (
        *("Jan", "Feb", "Mar", "Apr", "Mei", "Jun"),
        *("Jul", "Agu", "Sep", "Okt", "Nov", "Des"),
    ),
    Language.ENGLISH: (
        *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
        *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ),
}


class Spoken:
    """One language and time zone; `words` are `dashboards.texts`'."""

    def __init__(self, language: Language, words: Mapping[str, str], zone: tzinfo) -> None:
        self.language, self._words, self._zone = language, words, zone

    def say(self, key: str, n: str = "") -> str:
        """A text; one that is missing shows its key's last word."""
        text = self._words.get(key)
        return key.rpartition(".")[2].replace("_", " ") if text is None else text.replace("{n}", n)

    def number(self, value: float | None, digits: int = 0) -> str:
        """With the language's marks; a dash for nothing."""
        if value is None:
            return NOTHING
        text = f"{value:,.{digits}f}"
        if self.language is Language.ENGLISH:
            return text
        return text.translate(str.maketrans(",.", ".,"))

    def share(self, value: float | None, digits: int = 0) -> str:
        """A part of the whole as per cent; one that isn't all never rounds up to 100 %."""
        if value is None:
            return NOTHING
        if value < 1 and round(100 * value, digits) >= 100:
            value = 1 - 10.0 ** -(digits + 2)
        return f"{self.number(100 * value, digits)} %"

    def span(self, ms: float | None) -> str:
        """A length of time in its largest sensible unit."""
        if ms is None:
            return NOTHING
        seconds = max(0.0, ms / 1000)
        for unit, size, below in (("s", 1, 100), ("min", 60, 6000), ("h", 3600, 172_800)):
            if seconds < below:
                return f"{self.number(seconds // size)} {self.say(f'unit.{unit}')}"
        return f"{self.number(seconds // 86_400)} {self.say('unit.d')}"

    def bytes(self, value: float | None) -> str:
        """Decimal units, three digits."""
        if value is None:
            return NOTHING
        unit, size = next((step for step in reversed(_STEPS) if value >= step[1]), _STEPS[0])
        shown = value / size
        return f"{self.number(shown, 1 if shown < 100 and size > 1 else 0)} {unit}"

    def moment(self, time_ms: int, now_ms: int) -> str:
        """Hour and minute; the day too when it isn't today."""
        local = datetime.fromtimestamp(time_ms / 1000, self._zone)
        today = datetime.fromtimestamp(now_ms / 1000, self._zone)
        hour = f"{local:%H:%M}"
        return hour if local.date() == today.date() else f"{self.day(time_ms)} {hour}"

    def day(self, time_ms: int) -> str:
        """Day and month."""
        local = datetime.fromtimestamp(time_ms / 1000, self._zone)
        return f"{local.day} {self._month(local.month)}"

    def month(self, year: int, month: int) -> str:
        """Month and year."""
        return f"{self._month(month)} {year}"

    def value(self, field: Field, value: Value | None) -> str:
        """A field's value with its unit, by what the kind says of it."""
        if value is None:
            return NOTHING
        if isinstance(value, str):
            return self._words.get(f"value.{value}", value)
        if field.high == 1 and not field.unit:
            if isinstance(value, int):
                return self.say("value.yes" if value else "value.no")
            return self.share(value)
        digits = 0 if isinstance(value, int) or abs(value) >= 1000 else 1 if abs(value) >= 10 else 2
        text = self.number(value, digits)
        return f"{text} {field.unit}" if field.unit else text

    def _month(self, number: int) -> str:
        return _MONTHS[self.language][number - 1]
