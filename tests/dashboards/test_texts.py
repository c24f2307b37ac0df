"""Every word in both languages, and none missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dashboards
from dashboards.operators.pages import SECTIONS
from dashboards.operators.visitor import Role
from dashboards.states import LOOKS, STATES
from dashboards.texts import Language, words
from devices.kinds import KINDS, FieldType

ASSETS = Path(dashboards.__file__).parent / "assets"
OPERATORS = Path(dashboards.__file__).parent / "operators"


def test_both_languages_say_the_same_things_with_the_same_numbers():
    indonesian, english = words(Language.INDONESIAN), words(Language.ENGLISH)
    assert indonesian.keys() == english.keys()
    for key, text in indonesian.items():
        assert text and english[key]
        assert ("{n}" in text) == ("{n}" in english[key]), key


@pytest.mark.parametrize("language", Language)
def test_every_state_kind_and_closed_value_has_a_word(language):
    known = words(language)
    wanted = {f"state.{state}" for state in LOOKS}
    wanted |= {f"{section}.{kind}" for section in ("kind", "tile") for kind in STATES}
    wanted |= {f"kind.{kind}" for kind in KINDS}
    for kind in KINDS.values():
        for field in kind.fields.values():
            if field.type is FieldType.TEXT:
                wanted |= {f"value.{choice}" for choice in field.choices}
    assert wanted <= known.keys()


def test_every_word_that_a_script_asks_for_exists():
    asked = {
        key
        for folder in (ASSETS, OPERATORS / "assets")
        for script in folder.rglob("*.js")
        for key in re.findall(r"""\bt\(["']([a-z]+\.[a-z_]+)["'][,)]""", script.read_text())
    }
    assert len(asked) > 30
    assert asked <= words(Language.ENGLISH).keys()


def test_every_word_that_a_page_says_exists():
    asked = {
        key
        for file in OPERATORS.rglob("*.py")
        for key in re.findall(r"""\bsay\(["']([a-z_]+\.[a-z_]+)["'][,)]""", file.read_text())
    }
    asked |= {f"section.{section.name}" for section in SECTIONS}
    asked |= {f"role.{role}" for role in Role}
    assert len(asked) > 30
    assert asked <= words(Language.ENGLISH).keys()


def test_every_glyph_is_drawn():
    drawn = set(re.findall(r"^  (\w+):", (ASSETS / "live/shapes.js").read_text(), re.MULTILINE))
    assert {look.glyph for look in LOOKS.values()} | {*STATES} <= drawn


def test_an_unknown_language_is_answered_in_indonesian():
    assert Language.of("en") is Language.ENGLISH
    assert Language.of("xx<script>") is Language.INDONESIAN
