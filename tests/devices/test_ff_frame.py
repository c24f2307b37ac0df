"""The FF-H-L-SUM framer: whole, byte by byte, behind noise, with bytes left over."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from devices.driver import Frame, Noise
from devices.ff_frame import FfFramer, frame_sum

GOOD = bytes.fromhex("ff07a1a7")
OTHER = bytes.fromhex("ff001f1e")


def frame(distance_mm: int) -> bytes:
    body = b"\xff" + distance_mm.to_bytes(2, "big")
    return body + bytes((frame_sum(body),))


def fed(*chunks: bytes) -> list[Frame | Noise]:
    framer = FfFramer()
    return [part for chunk in chunks for part in framer.feed(chunk)]


def frames(parts: list[Frame | Noise]) -> list[bytes]:
    return [part.data for part in parts if isinstance(part, Frame)]


def noise(parts: list[Frame | Noise]) -> int:
    return sum(part.size for part in parts if isinstance(part, Noise))


def test_whole_frames_come_out_as_they_went_in():
    assert fed(GOOD + OTHER) == [Frame(GOOD), Frame(OTHER)]


def test_a_frame_cut_anywhere_comes_out_once_it_is_whole():
    for cut in range(1, len(GOOD)):
        framer = FfFramer()
        assert framer.feed(GOOD[:cut]) == []
        assert framer.feed(GOOD[cut:]) == [Frame(GOOD)]


def test_bytes_left_over_wait_for_the_rest():
    assert fed(GOOD + OTHER[:3], OTHER[3:]) == [Frame(GOOD), Frame(OTHER)]


def test_noise_in_front_is_one_noise_and_the_frame_follows():
    assert fed(b"\x00\x12\x34" + GOOD) == [Noise("garbage", 3), Frame(GOOD)]


def test_a_wrong_sum_drops_one_byte_so_a_frame_that_starts_inside_is_found():
    assert fed(b"\xff\xff" + GOOD) == [Noise("checksum", 2), Frame(GOOD)]
    assert fed(b"\xff\x07" + GOOD) == [Noise("checksum", 2), Frame(GOOD)]


def test_a_damaged_frame_is_one_noise_of_its_whole_size():
    assert fed(b"\xff\x07\xa1\xa8" + GOOD) == [Noise("checksum", 4), Frame(GOOD)]


def test_a_sum_without_the_header_is_an_option():
    frame_of_aj = b"\xff\x07\xa1\xa8"  # 07 + A1
    assert FfFramer(sum_has_header=False).feed(frame_of_aj) == [Frame(frame_of_aj)]
    assert FfFramer(sum_has_header=False).feed(GOOD + frame_of_aj)[-1] == Frame(frame_of_aj)


def test_a_reset_forgets_half_a_frame():
    framer = FfFramer()
    framer.feed(GOOD[:3])
    framer.reset()
    assert framer.feed(GOOD) == [Frame(GOOD)]


@given(st.binary(max_size=200), st.data())
def test_any_bytes_give_the_same_frames_however_they_are_cut(stream: bytes, data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    whole, single = fed(stream), fed(*(bytes((byte,)) for byte in stream))
    assert frames(fed(*chunks)) == frames(whole) == frames(single)
    assert noise(fed(*chunks)) == noise(whole) == noise(single)


@given(st.binary(max_size=200))
def test_every_byte_is_in_a_frame_or_noise_or_one_of_three_that_wait(stream: bytes):
    parts = fed(stream)
    told = noise(parts) + 4 * len(frames(parts))
    assert 0 <= len(stream) - told <= 3


@given(st.lists(st.integers(0, 0xFEFE), max_size=20), st.binary(max_size=20))
def test_distances_behind_noise_are_all_found_again_after_the_first_few(
    distances: list[int], front: bytes
):
    # Noise may end in bytes that make a frame with the next ones, so the first two may be lost.
    said = [frame(distance) for distance in distances if distance & 0xFF != 0xFF]
    calm = b"\x00" * 4
    found = frames(fed(front + calm, b"".join(said)))
    assert found[len(found) - len(said) :] == said
