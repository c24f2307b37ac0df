"""The page's words in both languages, from `texts.toml`; a test keeps them complete."""

from __future__ import annotations

import tomllib
from enum import StrEnum
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("texts.toml")


class Language(StrEnum):
    """In the order of the file's pairs; the first is the default."""

    INDONESIAN = "id"
    ENGLISH = "en"

    @classmethod
    def of(cls, text: str) -> Language:
        """What a viewer asked for; anything else gets the default."""
        return cls(text) if text in tuple(cls) else cls.INDONESIAN


@cache
def words(language: Language, file: Path = _FILE) -> dict[str, str]:
    """`section.key` → text."""
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    column = list(Language).index(language)
    return {
        f"{section}.{key}": pair[column]
        for section, pairs in table.items()
        for key, pair in pairs.items()
    }
