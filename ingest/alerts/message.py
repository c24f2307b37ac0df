"""News as a text for people: grouped by site and kind, the worst first, and never too long.

    2 peringatan baru, 1 kritis

    ‼ pasar · bak sampah
    Bak sampah terbakar: bin-07 (a) 02:13
    → Telepon pemadam kebakaran (113), lalu kirim petugas.
    Bak sampah penuh: bin-01 91 % (a) 06:40, bin-02 88 % (b) 06:41
    → Masukkan ke rute pengangkutan berikutnya.

    Selesai: bin-03 Bak sampah penuh 05:10–06:30
    Semua: https://…

Telegram refuses a message over 4,096 UTF-16 units, so nothing is sent at all; here, names give way
to their number, then groups do, and the link leads to the rest. Plain text: a device's name can't
break a mark-up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from ingest.alerts.news import News
from ingest.alerts.settings import AlertSettings
from ingest.rules import RULES
from ingest.rules.forecast import HOURS_MAX
from ingest.rules.rule import Rule, Severity, Subject, Text

UNITS_MAX = 4096
NAMES = (20, 10, 5, 3, 1, 0)
"""How many names of a rule are listed, from the most to the least."""

ENTRIES_MAX = 500
"""News listed one by one in a webhook's JSON; `more` counts the rest."""

MARKS = {Severity.CRITICAL: "‼", Severity.WARNING: "!", Severity.INFO: "·"}
_ORDER = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
_KINDS = {
    "waste_container": Text("bak sampah", "bins"),
    "parking_spot": Text("parkir", "parking"),
    "wifi_access_point": Text("WiFi", "WiFi"),
    "water_level": Text("muka air", "water level"),
    "gateway": Text("gateway", "gateways"),
    "device": Text("perangkat", "devices"),
    "cloud": Text("server", "cloud side"),
}
_NEW = Text("{n} peringatan baru", "{n} new alerts")
_WORST = Text(", {n} kritis", ", {n} critical")
_OVER = Text("{n} peringatan selesai", "{n} alerts are over")
_MORE = Text("+{n} lagi", "+{n} more")
_GROUPS = Text("dan {n} kelompok lagi ({m} peringatan)", "and {n} more groups ({m} alerts)")
_ENDED = Text("Selesai", "Over")
_ALL = Text("Semua: {link}", "All: {link}")
_RUNBOOK = Text("Panduan: {link}", "Runbook: {link}")
_DROPPED = Text(
    "{n} perubahan lama tidak dirinci.", "{n} older changes aren't listed: this was away too long."
)
_BY = Text("ditangani {who}", "taken by {who}")


class Message(msgspec.Struct, frozen=True):
    """What every receiver sends; `entries` is for machines."""

    subject: str
    text: str
    entries: list[dict[str, object]]
    more: int = 0


def compose(
    news: Sequence[News], settings: AlertSettings, now_ms: int, dropped: int = 0
) -> Message:
    """One message of all of it, under 4,096 UTF-16 units."""
    writer = _Writer(settings, now_ms)
    begins = sorted((one for one in news if one.begins), key=_worst_first)
    ended = [one for one in news if not one.begins]
    subject = writer.subject(begins, ended)
    tail = writer.tail(begins, dropped)
    text = _fitting(lambda names: writer.text(subject, begins, ended, tail, names))
    entries = [writer.entry(one) for one in (*begins, *ended)[:ENTRIES_MAX]]
    return Message(subject, text, entries, max(0, len(news) - ENTRIES_MAX))


def units(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def shown_value(rule: Rule, value: float) -> str:
    """A number with its unit, empty for a yes or no: `91 %`, `11.5 h`."""
    if not rule.unit:
        return ""
    if rule.unit == "%":
        return f"{value * 100:.1f} %" if 0.99 < value < 1 else f"{value * 100:.0f} %"
    if rule.unit == "h" and value >= HOURS_MAX:
        return f"> {HOURS_MAX:.0f} h"
    return f"{value:.4g} {rule.unit}" if abs(value) < 1000 else f"{value:.0f} {rule.unit}"


def _worst_first(one: News) -> tuple[int, str, str, int, str]:
    return _ORDER.index(one.severity), one.place.site, one.rule, one.at_ms, one.place.device


def _fitting(write: Callable[[int], str]) -> str:
    for names in NAMES:
        text = write(names)
        if units(text) <= UNITS_MAX:
            return text
    kept: list[str] = []
    lines = text.split("\n")
    room = UNITS_MAX - 2
    for line in lines:  # hundreds of groups: the worst came first
        room -= units(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([*kept, "…"])


class _Writer:
    """The words of one message."""

    def __init__(self, settings: AlertSettings, now_ms: int) -> None:
        self._language, self._zone = settings.language, settings.zone
        self._link, self._runbook = settings.link, settings.runbook_url
        self._today = self._local(now_ms).date()

    def subject(self, begins: Sequence[News], ended: Sequence[News]) -> str:
        if not begins:
            return self._say(_OVER, n=len(ended))
        worst = sum(one.severity is Severity.CRITICAL for one in begins)
        return self._say(_NEW, n=len(begins)) + (self._say(_WORST, n=worst) if worst else "")

    def tail(self, begins: Sequence[News], dropped: int) -> list[str]:
        lines = [self._say(_DROPPED, n=dropped)] if dropped else []
        if self._link:
            lines.append(self._say(_ALL, link=self._link))
        if self._runbook and begins:
            lines.append(self._say(_RUNBOOK, link=f"{self._runbook}#{begins[0].rule}"))
        return lines

    def text(
        self,
        subject: str,
        begins: Sequence[News],
        ended: Sequence[News],
        tail: Sequence[str],
        names: int,
    ) -> str:
        groups: defaultdict[tuple[str, str], list[News]] = defaultdict(list)
        for one in begins:
            groups[one.place.site, RULES[one.rule].kind].append(one)
        blocks = [self._group(place, some, names) for place, some in groups.items()]
        room = UNITS_MAX - units(subject) - sum(units(line) + 1 for line in tail) - 400
        shown, used = [], 0
        for block in blocks:
            used += units(block) + 2
            if used > room and names == NAMES[-1]:
                break
            shown.append(block)
        if len(shown) < len(blocks):
            left = list(groups.values())[len(shown) :]
            shown.append(self._say(_GROUPS, n=len(left), m=sum(map(len, left))))
        if ended:
            shown.append(self._ended(ended, names))
        return "\n\n".join([subject, *shown, *(["\n".join(tail)] if tail else [])])

    def entry(self, one: News) -> dict[str, object]:
        rule = RULES[one.rule]
        place = msgspec.structs.asdict(one.place)
        return {
            **{"rule": one.rule, "severity": one.severity.value, "kind": rule.kind, **place},
            **{"became": one.became, "at_ms": one.at_ms, "ended_ms": one.ended_ms},
            **{"value": one.value, "shown": shown_value(rule, one.value), "who": one.who},
            **{"title": rule.title.of(self._language), "advice": rule.advice.of(self._language)},
            "runbook": f"{self._runbook}#{one.rule}" if self._runbook else "",
        }

    def _group(self, place: tuple[str, str], news: Sequence[News], names: int) -> str:
        site, kind = place
        by_rule: defaultdict[str, list[News]] = defaultdict(list)
        for one in news:
            by_rule[one.rule].append(one)
        lines = [f"{MARKS[news[0].severity]} {site} · {self._say(_KINDS[kind])}"]
        for rule_id, some in by_rule.items():
            rule = RULES[rule_id]
            lines.append(f"{rule.title.of(self._language)}{self._list(rule, some, names)}")
            lines.append(f"→ {rule.advice.of(self._language)}")
        return "\n".join(lines)

    def _list(self, rule: Rule, news: Sequence[News], names: int) -> str:
        if not names:
            return f" ({len(news)})"
        words = [self._one(rule, one) for one in news[:names]]
        if len(news) > names:
            words.append(self._say(_MORE, n=len(news) - names))
        count = f" ({len(news)})" if len(news) > 1 else ""
        return f"{count}: {', '.join(words)}"

    def _one(self, rule: Rule, one: News) -> str:
        words = [one.place.device, shown_value(rule, one.value)]
        if rule.subject is Subject.DEVICE:
            words.append(f"({one.place.zone})")
        return " ".join([*filter(None, words), self._moment(one.at_ms)])

    def _ended(self, ended: Sequence[News], names: int) -> str:
        words = []
        for one in ended[:names]:
            title = RULES[one.rule].title.of(self._language)
            until = f"–{self._moment(one.ended_ms)}" if one.ended_ms else ""
            by = f" ({self._say(_BY, who=one.who)})" if one.who else ""
            words.append(f"{one.place.device} {title} {self._moment(one.at_ms)}{until}{by}")
        if len(ended) > names:
            words.append(self._say(_MORE, n=len(ended) - names))
        return f"{self._say(_ENDED)} ({len(ended)}): {', '.join(words)}".removesuffix(": ")

    def _moment(self, time_ms: int) -> str:
        local = self._local(time_ms)
        return f"{local:%H:%M}" if local.date() == self._today else f"{local:%d-%m %H:%M}"

    def _local(self, time_ms: int) -> datetime:
        return datetime.fromtimestamp(time_ms / 1000, self._zone)

    def _say(self, text: Text, **values: object) -> str:
        return text.of(self._language).format(**values)
