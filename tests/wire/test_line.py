"""A reading as a line: exact both ways, and nothing outside the grammar."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS, Field, FieldType
from devices.reading import Reading, Value, check_fields
from wire.line import LINE_PATTERNS, format_line, parse_line
from wire.train import sample_lines

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True)


def values(field: Field) -> st.SearchStrategy[Value]:
    if field.type is FieldType.INTEGER:
        return st.integers(int(field.low), int(field.high))
    if field.type is FieldType.FLOAT:
        return st.floats(field.low, field.high)
    if field.choices:
        return st.sampled_from(field.choices)
    return st.from_regex(r"[A-Za-z0-9 ._:/+-]{0,64}", fullmatch=True)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    names = draw(st.lists(st.sampled_from(sorted(kind.fields)), min_size=1, unique=True))
    fields = {name: draw(values(kind.fields[name])) for name in names}
    return Reading(draw(NAMES), kind.name, draw(st.integers(10**11, 10**13 - 1)), fields)


@given(readings(), NAMES, NAMES)
def test_every_reading_reads_back_equal_types_included(
    reading: Reading, site: str, zone: str
) -> None:
    check_fields(reading.kind, reading.fields)
    again, *place = parse_line(format_line(reading, site, zone))
    assert again == reading
    assert [type(again.fields[n]) for n in reading.fields] == [
        type(v) for v in reading.fields.values()
    ]
    assert place == [site, zone]


@given(st.text())
def test_any_text_is_a_line_or_a_refusal(text: str) -> None:
    with pytest.raises(ValueError):
        parse_line(text)


GOOD = "parking_spot,device=bay-1,site=a,zone=b distance_mm=182.5,occupied=1i 1790000000000"


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace("parking_spot", "elephant"),
        GOOD.replace("occupied=1i", "occupied=1"),
        GOOD.replace("occupied=1i", 'occupied="1"'),
        GOOD.replace("distance_mm=182.5", "distance_mm=182i"),
        GOOD.replace("distance_mm=182.5", "distance_mm=nan"),
        GOOD.replace("distance_mm=182.5", "colour=1"),
        GOOD.replace("device=bay-1,", "device=bay-1,gateway=other,"),
        GOOD.replace("bay-1", "bay 1"),
        GOOD.replace("bay-1", "Bay-1"),
        GOOD.replace(",zone=b", ""),
        GOOD.replace(" 1790000000000", ""),
        GOOD + "000",
        GOOD + "\n",
        GOOD.replace("1790000000000", "123456"),
    ],
)
def test_a_line_outside_the_grammar_is_refused(line: str) -> None:
    parse_line(GOOD)
    with pytest.raises(ValueError):
        parse_line(line)


def test_a_hostile_line_costs_no_more_than_its_length() -> None:
    """No pattern backtracks: a line of a megabyte is judged in a moment, not in an hour."""
    hostile = "parking_spot,device=a,site=a,zone=a " + "distance_mm=1," * 80_000 + "!"
    assert LINE_PATTERNS["parking_spot"].fullmatch(hostile) is None


def test_the_training_samples_are_inside_the_grammar() -> None:
    for line in sample_lines(random.Random(7), 200):
        reading, _, _ = parse_line(line)
        check_fields(reading.kind, reading.fields)
