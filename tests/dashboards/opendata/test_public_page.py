"""The public page's words and shapes, and what a spreadsheet must not run."""

from __future__ import annotations

import re

import pytest

from dashboards.opendata.formats import Format, Table, cells, written
from dashboards.opendata.page import HERE, age_text
from dashboards.opendata.records import Record, states_of, utc
from dashboards.states import LOOKS, State
from dashboards.texts import Language, words

TEXTS = HERE / "texts.toml"


def test_both_languages_say_the_same_things_with_the_same_numbers():
    indonesian, english = words(Language.INDONESIAN, TEXTS), words(Language.ENGLISH, TEXTS)
    assert indonesian.keys() == english.keys()
    for key, text in indonesian.items():
        assert text and english[key]
        assert ("{n}" in text) == ("{n}" in english[key]), key


def test_every_shape_on_the_page_is_drawn():
    drawn = set(re.findall(r'id="([a-z_-]+)"', (HERE / "assets" / "shapes.svg").read_text()))
    for kind in ("parking_spot", "waste_container", "wifi_access_point"):
        glyphs = {LOOKS[state].glyph for state in states_of(kind)} - {"level"}
        assert {f"k-{kind}", *(f"g-{glyph}" for glyph in glyphs)} <= drawn


@pytest.mark.parametrize(
    ("age_ms", "told"),
    [(-5, "0 s ago"), (59_999, "59 s ago"), (60_000, "1 min ago"), (7_199_000, "1 h ago"),
     (172_800_000, "2 d ago")],
)  # fmt: skip
def test_ages_are_told_in_the_unit_that_fits(age_ms, told):
    assert age_text(age_ms, words(Language.ENGLISH, TEXTS)) == told


def test_times_are_utc_to_the_millisecond():
    assert utc(1_790_000_000_007) == "2026-09-21T14:13:20.007Z"
    assert utc(0) is None


def test_no_cell_is_a_formula_to_a_spreadsheet():
    assert cells(["=1+1", "@x", "-2", -2, None, "ok"]) == ["'=1+1", "'@x", "'-2", -2, None, "ok"]
    evil = Record(
        "bay-1", "parking_spot", '=cmd|"/c"!A1,\nb', "s", "z", None, None, State.FREE, None, {}
    )  # fmt: skip
    table = Table({}, "devices", [evil], ("device", "label"))
    assert written(table, Format.CSV) == b'device,label\r\nbay-1,"\'=cmd|""/c""!A1,\nb"\r\n'
