"""A sentence that a person will read, kept with what it was made of.

In: an English template with named places, and what stands in them. Out: a string, the English
sentence, that whoever prints it can say in another language instead: by its template
(`gampong/spoken.py`), never by searching in finished text. Pure.
"""

from __future__ import annotations

import os
from collections.abc import Mapping


class Told(str):
    """The English sentence. `places` may hold sentences too. Encode it as `str(sentence)`."""

    __slots__ = ("places", "template")
    places: Mapping[str, object]
    template: str

    def __new__(cls, english: str, template: str, places: Mapping[str, object]) -> Told:
        sentence = super().__new__(cls, english)
        sentence.template, sentence.places = template, places
        return sentence


def told(template: str, /, **places: object) -> Told:
    """`told("{count} batches wait", count=3)`. The template stands in the call as it is, so that a
    test finds each one that nobody has translated. Text that is no sentence, such as a path, goes
    into a place of its own: `told("{path}", path=path)`."""
    return Told(template.format(**places), template, places)


def constant(text: str) -> Told:
    """Text that is the same each time is its own template: an error's remedy, for one."""
    return text if isinstance(text, Told) else Told(text, text, {})


def system_told(error: OSError) -> Told:
    """What the system says of an error; its number's own words are the template."""
    number = error.errno or 0
    template = os.strerror(number) if number > 0 else error.strerror  # below 0: of a name's look-up
    return Told(str(error), template or str(error), {})
