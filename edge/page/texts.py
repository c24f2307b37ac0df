"""The page's words in both languages, from `texts.toml`; a test keeps them complete."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("texts.toml")
LANGUAGE_COOKIE = "gampong_language"


class Language(StrEnum):
    """In the order of the file's pairs."""

    INDONESIAN = "id"
    ENGLISH = "en"


class Words:
    """`words("entry.title")`, `words("entry.wait", seconds=30)`."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._texts = _texts(language)

    def __call__(self, key: str, **figures: object) -> str:
        text = self._texts[key]
        return text.format(**figures) if figures else text

    def word(self, section: str, name: str) -> str:
        """A word of a closed list, or the name itself where a later version has more of them."""
        return self._texts.get(f"{section}.{name}", name)


def language_of(cookies: Mapping[str, str], accepted: str) -> Language:
    """What the technician chose, or else what the phone speaks: Indonesian where it says so, and
    where it says nothing."""
    chosen = cookies.get(LANGUAGE_COOKIE, "")
    if chosen in tuple(Language):
        return Language(chosen)
    first = accepted.strip().lower()[:2]
    return Language.INDONESIAN if first in ("", "*", "id", "ms") else Language.ENGLISH


@cache
def _texts(language: Language) -> dict[str, str]:
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    column = list(Language).index(language)
    return {
        f"{section}.{key}": pair[column]
        for section, pairs in table.items()
        for key, pair in pairs.items()
    }
