"""What may be stored: `check_fields` against the table of kinds."""

from __future__ import annotations

import pytest

from devices.kinds import KINDS
from devices.reading import Refusal, Undecodable, Value, check_fields


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"colour": 1}, Refusal.TYPE),
        ({"occupied": True}, Refusal.TYPE),
        ({"occupied": 1.0}, Refusal.TYPE),
        ({"occupied": "1"}, Refusal.TYPE),
        ({"occupied": 2}, Refusal.RANGE),
        ({"distance_mm": float("nan")}, Refusal.RANGE),
        ({"distance_mm": float("inf")}, Refusal.RANGE),
        ({"distance_mm": -0.1}, Refusal.RANGE),
        ({"quality": "superb"}, Refusal.RANGE),
        ({"quality": 1}, Refusal.TYPE),
        ({"firmware": "1.0\n"}, Refusal.FORMAT),
        ({"firmware": "<b>"}, Refusal.FORMAT),
        ({"firmware": "1" * 65}, Refusal.FORMAT),
    ],
)
def test_a_field_that_cannot_be_is_refused_with_its_reason(
    fields: dict[str, Value], reason: Refusal
):
    with pytest.raises(Undecodable) as refused:
        check_fields("parking_spot", fields)
    assert refused.value.reason is reason


def test_fields_within_their_bounds_pass():
    check_fields("parking_spot", {"occupied": 1, "distance_mm": 20_000.0, "firmware": "0.29.2"})
    check_fields("parking_spot", {})


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_kinds_state_is_one_of_its_fields(kind):
    assert kind.state in kind.fields
    assert KINDS[kind.name] is kind
