"""Confirmations, status and inventory: strict, bounded, balanced."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wire.messages import (
    BadMessage,
    Confirm,
    Fate,
    Inventory,
    InventoryDevice,
    Ledger,
    LinkStatus,
    Place,
    Status,
    decode_confirm,
    decode_message,
    encode_confirm,
    encode_message,
    pack_message,
)


@pytest.mark.parametrize(
    "message",
    [
        Status("mahirah-01", True, ledger=Ledger(taken=3, refused={"checksum": 1}, open=2)),
        Inventory("a", "b", 60, (InventoryDevice("bay-1", "k", "d", "z", 1, 2, Place(5.5, 95.3)),)),
    ],
)
def test_every_message_reads_back_equal(message) -> None:
    assert decode_message(encode_message(message), type(message)) == message


@pytest.mark.parametrize(
    "fates",
    [
        (),
        (Fate(1, bytes(8), 60), Fate(2, bytes(8), 1, {"grammar": 2})),
        (Fate(3, bytes(8), hold_s=5.25), Fate(2**40, b"\xff" * 8)),
    ],
)
def test_a_confirmation_reads_back_equal(fates) -> None:
    epoch = bytes(range(16))
    assert decode_confirm(encode_confirm(epoch, fates)) == Confirm(epoch, fates)


def test_the_usual_confirmation_takes_less_than_40_bytes() -> None:
    assert len(encode_confirm(bytes(16), [Fate(60_000, bytes(8), 72)])) < 40


@pytest.mark.parametrize("hold_s", [float("nan"), float("inf"), -1.0, 1e9])
def test_a_hold_that_is_no_time_is_refused(hold_s) -> None:
    with pytest.raises(BadMessage, match="hold"):
        decode_confirm(encode_confirm(bytes(16), [Fate(1, bytes(8), hold_s=hold_s)]))


def test_a_status_is_packed_to_a_fifth_and_reads_back_equal() -> None:
    links = tuple(LinkStatus(f"uart-{n:02d}", "up") for n in range(14))
    status = Status("mahirah-01", True, "0.1.0", 1_790_000_000_000, bytes(16).hex(), links=links)
    packed = pack_message(status)
    assert decode_message(packed, Status) == status
    assert len(packed) * 5 < len(encode_message(status))


def test_a_packed_message_that_expands_too_far_is_refused_by_its_header() -> None:
    with pytest.raises(BadMessage, match="expands"):
        decode_message(zstandard.ZstdCompressor().compress(bytes(10_000_000)), Status)


def test_a_message_packed_by_an_unknown_dictionary_is_refused_and_says_which() -> None:
    samples: list[bytes | bytearray | memoryview] = [
        f"{n} sample {n * n}".encode() for n in range(500)
    ]
    other = zstandard.train_dictionary(4096, samples, dict_id=77)
    packed = zstandard.ZstdCompressor(dict_data=other).compress(b"{}")
    with pytest.raises(BadMessage, match="77"):
        decode_message(packed, Status)


@given(st.binary())
def test_any_bytes_are_a_message_or_a_typed_refusal(data: bytes) -> None:
    for type_ in (Status, Inventory):
        with pytest.raises(BadMessage):
            decode_message(data, type_)
    with pytest.raises(BadMessage):
        decode_confirm(data)


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(BadMessage):
        decode_message(b"[" * 200_000, Status)
    with pytest.raises(BadMessage):
        decode_message(b" " * 10_000_000, Status)
    with pytest.raises(BadMessage):
        decode_confirm(b"\x91" * 200_000)
    with pytest.raises(BadMessage):
        decode_confirm(b"\xc0" * 10_000_000)


def test_a_hold_is_not_final() -> None:
    assert Fate(1, bytes(8), 60).final
    assert not Fate(1, bytes(8), hold_s=5).final


def test_a_ledger_that_lost_a_reading_does_not_balance() -> None:
    ledger = Ledger(taken=10, refused={"range": 1}, suppressed=2, open=3, accepted=4, waiting=1)
    assert not ledger.balanced
    whole = Ledger(taken=10, refused={"range": 1}, suppressed=2, open=3, accepted=4, waiting=1,
                   stored=1, rejected={"grammar": 1}, dropped={"full": 1})  # fmt: skip
    assert whole.balanced


def test_two_ledgers_add_up_to_one_that_balances_too() -> None:
    one = Ledger(taken=3, refused={"range": 1}, open=2)
    two = Ledger(taken=2, refused={"range": 1, "repeat": 1})
    assert one + two == Ledger(taken=5, refused={"range": 2, "repeat": 1}, open=2)
    assert (one + two).balanced
