"""Alerts in both languages: what, where, since when, what to do, and why nobody is told."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from dashboards.board import Board
from dashboards.operators.alerts_shown import list_words, listed, note, past_rows, silence_rows
from dashboards.operators.spoken import Spoken
from dashboards.texts import Language, words
from devices.reading import Value
from ingest.alerts.current import Alert, Past
from ingest.rules import RULES, Level
from ingest.rules.kinds import CHANGES
from ingest.rules.muting import Silence
from ingest.rules.standing import Place
from ingest.stores import Row
from ingest.stores.live import Change

WIB = ZoneInfo("Asia/Jakarta")
NOW_MS = 1_795_107_600_000  # midnight there
HOUR_MS = 3_600_000
BIN = Place("bin-1", "gw-1", "pasar", "a")
HOSTILE = "<img src=x onerror=alert(1)>"


def spoken(language: Language) -> Spoken:
    return Spoken(language, words(language), WIB)


def board(*, maintenance: int = 0, online: int = 1) -> Board:
    made = Board()
    tags = {"device": "bin-1", "gateway": "gw-1", "site": "pasar", "zone": "a"}
    known: dict[str, Value] = {
        "kind": "waste_container",
        "label": HOSTILE,
        "maintenance": maintenance,
    }
    made.apply([Change("device_registry", Row(NOW_MS, tags, dict(known)))], NOW_MS)
    own = {"device": "gw-1", "gateway": "gw-1", "site": "pasar", "zone": "main"}
    made.apply([Change("gateway_health", Row(NOW_MS, own, {"online": online}))], NOW_MS)
    return made


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_its_words_advice_and_runbook(rule: str, language: Language) -> None:
    alert = Alert(rule, BIN, Level.TOLD, NOW_MS - HOUR_MS, 0.9)
    (one,) = listed([alert], board().devices, NOW_MS, spoken(language), "https://city/runbook")
    assert one["title"] == RULES[rule].title.of(language.value)
    assert one["advice"] == RULES[rule].advice.of(language.value)
    assert one["runbook"] == f"https://city/runbook#{rule}"
    assert one["where"] == f"{HOSTILE} (bin-1) · pasar · a"  # the browser writes it as text
    assert one["since"].endswith("23:00")
    assert one["note"] == ""


def test_why_nobody_is_told_is_said() -> None:
    english = spoken(Language.ENGLISH)
    muted = Alert("bin_full", BIN, Level.MUTED, NOW_MS, 0.9)
    taken = Alert("bin_full", BIN, Level.MUTED, NOW_MS, 0.9, "Cut", "a truck at nine")
    silent = Alert("bin_full", BIN, Level.MUTED, NOW_MS, 0.9, "Budi", "market", NOW_MS + HOUR_MS)
    devices = board().devices
    assert note(taken, devices, NOW_MS, english) == "Taken by Cut: a truck at nine"
    assert note(silent, devices, NOW_MS, english) == "silent until 01:00 · Budi: market"
    assert note(muted, devices, NOW_MS, english) == "muted"
    assert "maintenance" in note(muted, board(maintenance=1).devices, NOW_MS, english)
    assert "gw-1 is offline" in note(muted, board(online=0).devices, NOW_MS, english)


def test_the_history_is_told_newest_first_in_both_languages() -> None:
    past = [
        Past(NOW_MS - HOUR_MS, "bin_full", "fires", BIN, NOW_MS - 2 * HOUR_MS, 0.91, "", ""),
        Past(NOW_MS, "all", "silenced", Place("all", "all", "pasar", "main"), NOW_MS, 0.0, "Cut",
             "malam", NOW_MS + HOUR_MS),
    ]  # fmt: skip
    rows = past_rows(past, {}, NOW_MS, spoken(Language.INDONESIAN))
    silenced, fired = (row.cells for row in rows)
    assert silenced[1:] == [
        *("dibisukan", {"t": "semua aturan", "note": ""}, "pasar"),
        "dibisukan sampai 01:00 · Cut: malam",
    ]
    assert fired[2] == {"t": "Bak sampah penuh", "note": "91 %"}
    assert isinstance(fired[0], dict)
    assert str(fired[0]["note"]).startswith("sejak ")
    assert len({row.key for row in rows}) == 2


def test_silences_that_are_over_arent_listed() -> None:
    silences = [
        Silence(NOW_MS, "Cut", "over"),
        Silence(NOW_MS + HOUR_MS, "Budi", "market", rule="bin_full", site="pasar"),
    ]
    (row,) = silence_rows(silences, NOW_MS, spoken(Language.ENGLISH))
    assert row == {"what": "Bin full · pasar", "said": "silent until 01:00 · Budi: market"}


@pytest.mark.parametrize("language", Language)
def test_every_word_of_the_list_and_the_history_is_there(language: Language) -> None:
    known = words(language)
    assert {f"became.{became}" for became in CHANGES} <= known.keys()
    said = list_words(spoken(language))
    assert all(f"alerts.{key}" in known for key in said if key not in ("spans", "all"))
    assert [hours for hours, _ in said["spans"]] == [0.5, 2, 8, 24, 72]
