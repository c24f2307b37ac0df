"""The vectors' own file format refuses what would test nothing."""

from __future__ import annotations

import pytest

from devices.reading import Payload, Refusal, Values
from devices.vectors import Record, Vector


def test_a_vector_needs_exactly_one_outcome():
    with pytest.raises(ValueError, match="give one of fields, values, refused"):
        Vector("a sentence", "a source", hex="00")
    with pytest.raises(ValueError, match="give one of fields, values, refused"):
        Vector("a sentence", "a source", hex="00", fields={}, refused=Refusal.TYPE)


def test_a_payload_is_hex_or_text_and_not_both():
    with pytest.raises(ValueError, match="give hex or text"):
        Vector("a sentence", "a source", hex="00", text="{}", fields={})
    assert Vector("a sentence", "a source", text="{}", fields={}).payload == Payload(b"{}")


def test_several_records_keep_their_own_times_and_channels():
    records = (Record({"occupied": 1}, time_ms=5), Record({"occupied": 0}, channel="2", event=True))
    assert Vector("a sentence", "a source", hex="00", values=records).expected == (
        Values({"occupied": 1}, time_ms=5),
        Values({"occupied": 0}, channel="2", event=True),
    )
