"""`judge` is the wire's grammar without doubled fields and values out of range; `SURE` only a
shortcut to it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS, FieldType
from devices.reading import Undecodable, check_fields
from ingest.grammar import SURE, BadLine, judge, sure_batch
from simulators.fleet import FleetGateway
from tests.ingest.batches import NOW_MS, line
from wire.line import LINE_PATTERNS, fields_of

NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True)
ODD_NAMES = NAMES | st.sampled_from(["", "A", "-a", "a" * 65, "a,gateway=b", "a b", "a\r"])
NUMBERS = st.one_of(
    st.integers(-(10**21), 10**21).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(-210, 210).map(lambda number: repr(round(number, 2))),
    st.sampled_from(
        ["0", "-0", "1", "1.0", "1e5", "1e999", "-1e-9", "+1", "01", "1.", ".5", "NaN"]
    ),
)
VALUES = st.one_of(
    NUMBERS,
    NUMBERS.map(lambda number: f"{number}i"),
    st.text(max_size=70).map(lambda text: f'"{text}"'),
    st.sampled_from(
        [f'"{c}"' for k in KINDS.values() for f in k.fields.values() for c in f.choices]
    ),
    st.sampled_from(["t", "true", "", '"', "i", "1u"]),
)


@st.composite
def near_lines(draw: st.DrawFn) -> str:
    """Lines of the grammar and lines that miss it by little."""
    kind = draw(st.sampled_from([*KINDS, "parking", "Parking_spot", ""]))
    known = list(KINDS[kind].fields) if kind in KINDS else ["occupied"]
    names = draw(st.lists(st.sampled_from(known) | st.just("new_field"), max_size=6))
    if draw(st.booleans()):
        names = sorted(set(names))
    fields = ",".join(f"{name}={draw(VALUES)}" for name in names)
    tags = ",".join(f"{tag}={draw(ODD_NAMES)}" for tag in ("device", "site", "zone"))
    time = draw(
        st.integers(0, 10**14).map(str) | st.sampled_from(["", "0179", "1_790_000_000_000"])
    )
    return f"{kind},{tags} {fields} {time}"


def accepts(text: str) -> bool:
    """The definition that `judge` is held against."""
    kind = text.partition(",")[0]
    match = LINE_PATTERNS[kind].fullmatch(text) if kind in LINE_PATTERNS else None
    if match is None:
        return False
    fields = match["fields"].split(",")
    try:
        check_fields(kind, fields_of(match["fields"]))
    except Undecodable:
        return False
    return len({field.partition("=")[0] for field in fields}) == len(fields)


def judged(text: str) -> bool:
    try:
        parts = judge(text)
    except BadLine:
        return False
    assert parts.before + parts.after == text
    assert text.endswith(f" {parts.time}")
    return True


@given(near_lines())
def test_a_line_is_judged_good_if_and_only_if_the_wire_and_the_kinds_say_so(text):
    assert judged(text) == accepts(text)


@given(near_lines())
def test_what_is_surely_good_is_judged_good_and_cut_alike(text):
    for pattern in SURE.values():
        if match := pattern.fullmatch(text):
            assert match.groups() == tuple(judge(text))


EDGES = [
    (kind.name, field.name, repr(number) if field.type is FieldType.FLOAT else f"{int(number)}i")
    for kind in KINDS.values()
    for field in kind.fields.values()
    if field.type is not FieldType.TEXT
    for edge in (field.low, field.high, field.low / 2, field.high / 3, 0.0, 9.0, 10.0, 99.5, 1000.0)
    for number in (edge - 1, edge - 0.01, edge, edge + 0.01, edge + 1)
]


def test_what_is_surely_good_never_passes_a_value_out_of_range():
    seen = 0
    for kind, field, value in EDGES:
        text = f"{kind},device=a,site=b,zone=c {field}={value} 1790000000000"
        if SURE[kind].fullmatch(text):
            seen += 1
            assert accepts(text), text
    assert seen > len(EDGES) / 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "grammar"),
        ("parking_spot", "grammar"),
        (line().replace(" 1790", "  1790"), "grammar"),
        (line() + "\r", "grammar"),
        (line()[:-3], "grammar"),
        (line().replace(",site", ",gateway=other,site"), "grammar"),
        (line().replace(",zone=a", ",zone=a,gateway=other"), "grammar"),
        (line().replace("bay-01", "bay 01"), "grammar"),
        (line().replace("=1i", "=1i,"), "grammar"),
        (line().replace("=1i", "=NaN"), "grammar"),
        (line().replace("parking_spot", "tide_gauge"), "unknown_kind"),
        (line().replace("occupied", "colour"), "unknown_field"),
        (line().replace("=1i", "=1"), "type"),
        (line().replace("=1i", "=true"), "type"),
        (line().replace("=1i", '="yes"'), "type"),
        (line(distance_mm=182.5).replace("182.5", "182i"), "type"),
        (line().replace("=1i", "=2i"), "range"),
        (line().replace("=1i", "=9223372036854775808i"), "range"),
        (line(battery_v=3.6).replace("3.6", "1e999"), "range"),
        (line().replace("occupied=1i", 'quality="odd"'), "range"),
        (line().replace("=1i", "=1i,occupied=0i"), "duplicate_field"),
        (line().replace("=1i", "=1i" + ",occupied=1i" * 10_000), "duplicate_field"),
        (
            line().replace("=1i", "=1i," + ",".join(f"f{i}=1i" for i in range(10_000))),
            "unknown_field",
        ),
    ],
)
def test_a_bad_line_has_a_reason_that_an_operator_can_read(text, reason):
    with pytest.raises(BadLine, match=re.escape(reason)):
        judge(text)
    assert not any(pattern.fullmatch(text) for pattern in SURE.values())


@given(st.lists(near_lines(), min_size=1, max_size=4))
def test_a_batch_is_sure_only_when_each_of_its_lines_is_judged_good(texts):
    if sure_batch(raw_of(texts)):
        assert all(judge(text) for text in texts)
        assert all(map(accepts, texts))


@given(st.lists(near_lines(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_a_good_line_before_and_after_does_not_make_a_bad_one_sure(texts, place):
    good = line(distance_mm=182.5, occupied=1)
    mixed = [good, *texts, good]
    assert sure_batch(raw_of(mixed)) <= all(map(accepts, mixed))


def test_what_a_fleet_seals_is_sure():
    for readings in (1, 2, 3, 13, 60):
        raw = raw_of(FleetGateway(1, readings, seed=1).lines(NOW_MS))
        assert sure_batch(raw)
        assert not sure_batch(raw[:-1])
        assert not sure_batch(raw.replace(b",site=", b",gateway=x,site=", 1))
        assert not sure_batch(raw + b"\n")
    assert not sure_batch(b"")


def raw_of(texts: list[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()
