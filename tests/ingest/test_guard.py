"""The guard lets through what is this gateway's to say, and puts a reason on the rest."""

from __future__ import annotations

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest.guard import (
    HOUR_MS,
    LINES_MAX,
    SEAL_MS,
    Checked,
    Deferred,
    Limits,
    Noise,
    Refused,
    check,
    sort_out,
    sort_out_at_once,
)
from simulators.fleet import FleetGateway
from tests.ingest.batches import EPOCH, GATEWAY, NOW_MS, envelope, key_of, line, lines
from wire.batch import CONTENT_TYPE, RAW_BYTES_MAX, BatchKey, encode_batch
from wire.line import LINE_PATTERNS
from wire.mqtt import Message
from wire.topics import Leaf

LIMITS = Limits()
JUDGEMENTS = (Checked, Refused, Deferred, Noise)


def judged(message: Message, **more):
    return check(message, NOW_MS, LIMITS, **more)


def test_a_batch_comes_out_with_the_gateways_tag_in_sorted_place():
    checked = judged(envelope([line("bay-01", distance_mm=182.5)]))
    assert [*checked.lines] == [
        f"parking_spot,device=bay-01,gateway=gw-pasar,site=pasar,zone=a distance_mm=182.5 {NOW_MS}"
    ]
    assert (checked.gateway, checked.rejected, checked.seal_ms) == (GATEWAY, [], NOW_MS)


def test_the_key_comes_back_as_it_was_sent():
    message = envelope(lines(3), sequence=7)
    assert judged(message).key == key_of(message.payload, 7)


def test_a_snapshot_has_no_key():
    checked = judged(envelope(lines(3), sequence=None))
    assert checked.key is None
    assert len(checked.lines) == 3


def test_backfill_is_taken_like_live():
    assert len(judged(envelope(lines(2), leaf=Leaf.BACKFILL)).lines) == 2


def test_one_bad_line_takes_none_with_it():
    bad = line().replace("=1i", "=2i")
    checked = judged(envelope([*lines(2), bad, *lines(2)]))
    assert len(checked.lines) == 4
    assert [(each.index, each.reason, each.line) for each in checked.rejected] == [
        (2, "range", bad)
    ]


def test_a_line_that_claims_a_gateway_is_rejected():
    claim = line().replace(",site", ",gateway=gw-other,site")
    assert [each.reason for each in judged(envelope([claim])).rejected] == ["grammar"]


@pytest.mark.parametrize(
    ("time_ms", "good"),
    [
        (NOW_MS - 90 * 24 * HOUR_MS, True),
        (NOW_MS - 90 * 24 * HOUR_MS - 1, False),
        (NOW_MS + 24 * HOUR_MS, True),
        (NOW_MS + 24 * HOUR_MS + 1, False),
    ],
)
def test_only_times_within_retention_and_a_day_ahead_are_believed(time_ms, good):
    checked = judged(envelope([line(time_ms=time_ms)]))
    assert [each.reason for each in checked.rejected] == ([] if good else ["time"])


def test_hours_touched_by_late_readings_are_named_once():
    old = NOW_MS - 5 * HOUR_MS
    content = [line("a", old), line("b", old + 1), line("c", NOW_MS - 300_000), line("d")]
    assert judged(envelope(content)).late_hours == (old - old % HOUR_MS,)


def test_a_device_of_another_gateway_is_a_claim_and_an_unowned_one_is_accepted():
    def owner_of(device: str, time_ms: int) -> str | None:
        assert time_ms == NOW_MS
        return {"bay-own": GATEWAY, "bay-other": "gw-other"}.get(device)

    content = [line("bay-own"), line("bay-other"), line("bay-new")]
    checked = judged(envelope(content), owner_of=owner_of)
    assert len(checked.lines) == 2
    assert [(each.index, each.reason) for each in checked.rejected] == [(1, "claim")]


@pytest.mark.parametrize(
    "topic",
    [
        "gampong/v1/batch",
        "gampong/v1/GW/batch",
        "gampong/v1/a/b/batch",
        "gampong/v1/gw/confirm",
        "",
    ],
)
def test_a_topic_without_a_gateways_name_is_noise(topic):
    message = msgspec.structs.replace(envelope(lines(1)), topic=topic)
    assert judged(message) == Noise("topic")


def test_an_empty_message_is_a_probe():
    assert judged(Message(f"gampong/v1/{GATEWAY}/batch", b"", 1, False)) == Noise("probe")


@pytest.mark.parametrize(
    "data", [b"", b"x" * 31, b"x" * 33, BatchKey(EPOCH, 0, bytes(8)).pack(), b"\xff" * 32]
)
def test_a_malformed_key_is_noise(data):
    message = msgspec.structs.replace(envelope(lines(1)), correlation_data=data)
    assert judged(message) == Noise("correlation")


def compressed(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(raw)


def without_size(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False).compress(raw)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"not a batch at all", "not_zstd"),
        (encode_batch(lines(50))[:-9], "truncated"),
        (compressed(b"a" * 2**30), "too_large"),
        (without_size(b"a" * 2**20), "too_large"),
        (b"\x28\xb5\x2f\xfd" + bytes(10 * 1024 * 1024), "too_large"),
        (compressed("kelapa é\n".encode()), "text"),
        (compressed(line().encode()), "text"),
        (compressed(b"\n" * 1024 * 1024), "text"),
    ],
    ids=[
        "garbage",
        "truncated",
        "bomb",
        "endless",
        "10 MB",
        "not ASCII",
        "no newline",
        "1 M lines",
    ],
)
def test_what_can_not_be_read_is_refused_whole_and_without_a_key_noise(payload, reason):
    refused = Refused(GATEWAY, key_of(payload), reason, payload, NOW_MS)
    assert judged(envelope(payload)) == refused
    assert judged(envelope(payload, sequence=None)) == Noise(reason)


def test_other_bytes_than_the_key_names_are_refused():
    message = msgspec.structs.replace(envelope(lines(1)), payload=encode_batch(lines(2)))
    assert judged(message).reason == "digest"


def test_a_newer_format_or_dictionary_is_deferred():
    newer = msgspec.structs.replace(envelope(lines(1)), content_type="gampong-lines-2+zstd")
    assert judged(newer).reason == "content_type"
    assert isinstance(judged(newer), Deferred)
    unknown = zstandard.train_dictionary(1024, [f"{n} sample {n * n}".encode() for n in range(500)])
    payload = zstandard.ZstdCompressor(dict_data=unknown).compress(b"a\n")
    assert judged(envelope(payload)) == Deferred(GATEWAY, key_of(payload), "dictionary")
    assert judged(envelope(payload, sequence=None)) == Noise("dictionary")


@pytest.mark.parametrize("text", [None, "", "soon", "-1", "17", "١٧٩٠٠٠٠٠٠٠٠٠٠", str(10**15)])
def test_a_seal_time_that_can_not_be_is_left_out(text):
    user = () if text is None else ((SEAL_MS, text),)
    checked = judged(msgspec.structs.replace(envelope(lines(1)), user=user))
    assert checked.seal_ms is None
    assert len(checked.lines) == 1


TOPICS = st.text() | st.sampled_from([f"gampong/v1/{GATEWAY}/batch", "gampong/v1/x/backfill"])
RAW = st.binary() | st.lists(st.sampled_from(lines(3)) | st.text()).map(
    lambda some: "\n".join(some).encode("utf-8", "replace")
)
PAYLOADS = st.binary() | RAW.map(compressed) | st.lists(st.sampled_from(lines(9))).map(encode_batch)


@given(
    TOPICS,
    PAYLOADS,
    st.none() | st.text() | st.just(CONTENT_TYPE),
    st.none() | st.binary() | st.integers(1, 2**53).map(lambda n: n.to_bytes(8)),
    st.none() | st.text(),
)
def test_no_message_raises_and_every_line_is_this_gateways(topic, payload, type_, data, seal_ms):
    if data and len(data) == 8:  # a true key for whatever the payload is
        data = key_of(payload, int.from_bytes(data) % 2**53 or 1).pack()
    user = () if seal_ms is None else ((SEAL_MS, seal_ms),)
    message = Message(topic, payload, 1, False, type_, data, user)
    result = judged(message)
    assert isinstance(result, JUDGEMENTS)
    if isinstance(result, Checked):
        tag = f",gateway={result.gateway}"
        for text in result.lines:
            kind = text.partition(",")[0]
            assert text.count(",gateway=") == 1
            assert LINE_PATTERNS[kind].fullmatch(text.replace(tag, "", 1))
            assert f"{tag},site=" in text


@given(st.integers(0, 400), st.integers(0, 7))
def test_a_batch_with_a_flipped_bit_is_refused_not_misread(place, bit):
    good = encode_batch(lines(20))
    payload = bytearray(good)
    payload[place % len(good)] ^= 1 << bit
    message = envelope(bytes(payload))
    sent = msgspec.structs.replace(message, correlation_data=key_of(good).pack())
    assert judged(sent).reason == "digest"
    assert isinstance(judged(message), JUDGEMENTS)  # even if the digest were forged


DAY_MS = 24 * HOUR_MS


@given(
    readings=st.sampled_from([1, 3, 13]),
    age_ms=st.integers(-2 * DAY_MS, 91 * DAY_MS),
    owned=st.booleans(),
    spoilt=st.booleans(),
)
def test_a_batch_sorted_out_at_once_is_as_if_line_by_line(readings, age_ms, owned, spoilt):
    gateway = FleetGateway(1, readings, seed=1)
    lines = gateway.lines(NOW_MS - age_ms)
    if spoilt:
        lines[-1] += "0"
    raw = "".join(f"{line}\n" for line in lines).encode()

    def owner_of(device: str, _time_ms: int) -> str | None:
        return GATEWAY if owned or not device.endswith("01") else "another"

    slowly = sort_out(lines, GATEWAY, NOW_MS, Limits(), owner_of)
    at_once = sort_out_at_once(raw, GATEWAY, NOW_MS, Limits(), owner_of)
    assert (at_once is None) == bool(slowly.rejected)
    if at_once is not None:
        assert [*at_once.lines] == [*slowly.lines]
        assert at_once.lines.text == slowly.lines.text
        assert (at_once.rejected, at_once.late_hours) == ([], slowly.late_hours)


def test_a_text_with_blanks_in_it_moves_no_time():
    content = [
        line("bay-1", NOW_MS - 5 * HOUR_MS, firmware="v 1.2 beta 3", occupied=1),
        line("bay-2", NOW_MS, occupied=0),
        line("bay-3", NOW_MS - 1, firmware=" ", occupied=0),
    ]
    raw = "".join(f"{text}\n" for text in content).encode()
    at_once = sort_out_at_once(raw, GATEWAY, NOW_MS, Limits())
    slowly = sort_out(content, GATEWAY, NOW_MS, Limits())
    assert at_once is not None
    assert at_once.late_hours == slowly.late_hours != ()
    assert [*at_once.lines] == [*slowly.lines]
    too_old = [line("bay-1", NOW_MS - 100 * 24 * HOUR_MS, firmware="a b", occupied=1), *content]
    raw = "".join(f"{text}\n" for text in too_old).encode()
    assert sort_out_at_once(raw, GATEWAY, NOW_MS, Limits()) is None


def test_no_batch_within_the_bounds_has_more_lines_than_there_can_be():
    shortest = b"environment,device=a,site=a,zone=a snr_db=1 1790000000000\n"
    raw = shortest * (RAW_BYTES_MAX // len(shortest))
    out = sort_out_at_once(raw, GATEWAY, NOW_MS, Limits())
    assert out is not None
    assert len(out.lines) == len(raw) // len(shortest) < LINES_MAX
    assert judged(envelope(compressed(b"\n" * (LINES_MAX + 1)))).reason == "text"
    assert len(judged(envelope(compressed(b"x\n" * LINES_MAX))).rejected) == LINES_MAX
