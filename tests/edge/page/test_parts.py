"""Small parts of the page: words, positions, escaping, the sheet's file."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path

import pytest

import edge.page
from edge.commissioning import ENTRIES_MAX, NOTE_MAX, Entry, read_sheet, with_entry, write_sheet
from edge.page.ears import with_gateway
from edge.page.html import Markup, joined, tag
from edge.page.position import place_of
from edge.page.texts import Language, language_of
from wire.line import parse_line
from wire.messages import Place

FOLDER = Path(edge.page.__file__).parent
TEXTS = tomllib.loads((FOLDER / "texts.toml").read_text(encoding="utf-8"))


def figures(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_text_is_there_in_both_languages_with_the_same_figures():
    for section, pairs in TEXTS.items():
        for key, pair in pairs.items():
            assert len(pair) == len(Language), f"{section}.{key}"
            assert all(pair), f"{section}.{key}"
            assert figures(pair[0]) == figures(pair[1]), f"{section}.{key}"


def test_every_text_that_the_code_names_is_there():
    code = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    sections = "|".join(TEXTS)
    named = set(re.findall(rf'"((?:{sections})\.[a-z_]+)"', code)) - {"page.pin_file"}  # a setting
    there = {f"{section}.{key}" for section, pairs in TEXTS.items() for key in pairs}
    assert named
    assert named <= there


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("", "", Language.INDONESIAN),
        ("", "id-ID,id;q=0.9,en;q=0.8", Language.INDONESIAN),
        ("", "en-GB,en", Language.ENGLISH),
        ("", "de", Language.ENGLISH),
        ("id", "en", Language.INDONESIAN),
        ("xx", "en", Language.ENGLISH),
    ],
)
def test_the_page_speaks_what_was_chosen_or_else_what_the_phone_speaks(chosen, accepted, language):
    assert language_of({"gampong_language": chosen}, accepted) is language


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("5.5703, 95.3291", Place(5.5703, 95.3291)),
        (" 5.5703,95.3291 ", Place(5.5703, 95.3291)),
        ("-6.1754 106.8272", Place(-6.1754, 106.8272)),
        ("5,5703; 95,3291", Place(5.5703, 95.3291)),
        ("geo:5.5703,95.3291", Place(5.5703, 95.3291)),
        ("5°34'13.1\"N 95°19'44.8\"E", Place(5.570306, 95.329111)),
        ("6°10'31,4″LS 106°49'37,9″BT", Place(-6.175389, 106.827194)),
    ],
)
def test_a_position_is_taken_as_people_write_it(text, place):
    assert place_of(text) == place


@pytest.mark.parametrize(
    "text",
    ["", "5.57", "here", "91, 0", "0, 181", "5.57, 95.3, 2", "5,57,95,3", "1e3, 2", "nan, nan",
     "9" * 5000 + ", 1", "<script>", "5" + " " * 64 + "95", "5" + " " * 65_536 + "x"],
)  # fmt: skip
def test_what_is_no_position_is_none(text):
    assert place_of(text) is None


def test_text_is_escaped_wherever_it_stands_and_markup_is_not():
    assert tag("p", "<b>&", title='"><x') == '<p title="&quot;&gt;&lt;x">&lt;b&gt;&amp;</p>'
    assert joined(Markup("<b>"), "<b>", None) == "<b>&lt;b&gt;"
    assert tag("input", hidden=True, checked=False, max=3) == '<input hidden max="3">'


def test_the_points_tags_stand_as_the_database_sorts_them():
    line = "waste_container,device=bin-01,site=s,zone=main distance_mm=900 1790000000000"
    assert with_gateway(line, "a-01") == line.replace(",site=", ",gateway=a-01,site=")
    with pytest.raises(ValueError, match="grammar"):
        parse_line(with_gateway(line, "a-01"))  # only the guard may say it


def test_a_sheet_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "commissioning.json"
    entry = Entry("bin-01", "dfrobot_a02yyuw", 1, True, place=Place(5.5, 95.3), fields={"a": 1.5})
    write_sheet(path, [entry])
    assert read_sheet(path) == {"bin-01": entry}
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_damaged_sheet_is_put_aside_and_a_new_one_begins(tmp_path):
    path = tmp_path / "commissioning.json"
    for text in ("", "{", '{"entries":[{"device":1}]}', "\xff\xfe"):
        path.write_text(text, encoding="latin-1")
        assert read_sheet(path) == {}
        assert path.with_name("commissioning.json.damaged").read_text("latin-1") == text
    assert read_sheet(path) == {}


def test_a_sheet_stays_within_bounds(tmp_path):
    path = tmp_path / "commissioning.json"
    write_sheet(path, [Entry(f"bay-{n}", "d", n, True) for n in range(ENTRIES_MAX + 5)])
    kept = read_sheet(path)
    assert len(kept) == ENTRIES_MAX
    assert "bay-4" not in kept
    entry = with_entry({}, Entry("b", "d", 1, True, note="x\n\x1b[2J" * 500, raw="00" * 9000))["b"]
    assert len(entry.note) <= NOTE_MAX
    assert entry.note.isprintable()
    assert len(entry.raw) == 512
