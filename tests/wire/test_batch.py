"""A batch survives the trip, and nothing that isn't one gets through."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wire.batch import (
    COMPRESSED_BYTES_MAX,
    DICTIONARY_ID,
    RAW_BYTES_MAX,
    BadBatch,
    BatchKey,
    UnknownDictionary,
    decode_batch,
    digest,
    encode_batch,
)
from wire.train import sample_lines

LINES = st.lists(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=1
)


@given(LINES)
def test_what_is_encoded_decodes_to_the_same_lines(lines: list[str]) -> None:
    assert decode_batch(encode_batch(lines)) == lines


@given(st.binary(max_size=500))
def test_any_bytes_give_lines_or_a_typed_refusal(data: bytes) -> None:
    with contextlib.suppress(BadBatch, UnknownDictionary):
        decode_batch(data)


@given(st.integers(0, 2**31), st.data())
def test_one_flipped_bit_is_lines_or_a_typed_refusal(seed: int, data: st.DataObject) -> None:
    payload = bytearray(encode_batch(sample_lines(random.Random(seed), 5)))
    place = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[place // 8] ^= 1 << place % 8
    with contextlib.suppress(BadBatch, UnknownDictionary):
        decode_batch(bytes(payload))


def refusal(payload: bytes) -> str:
    with pytest.raises(BadBatch) as caught:
        decode_batch(payload)
    return caught.value.reason


def test_a_bomb_is_refused_by_its_header_before_it_is_expanded() -> None:
    assert refusal(zstandard.ZstdCompressor().compress(bytes(100_000_000))) == "too_large"


def test_a_bomb_that_hides_its_size_is_refused() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100_000_000))
    assert refusal(hidden) == "too_large"


def test_a_bomb_that_lies_about_its_size_is_refused() -> None:
    """RFC 8878 3.1.1.1: byte 4 describes the frame; with its top bits 10 a 4-byte size follows."""
    honest = zstandard.ZstdCompressor().compress(bytes(3 * RAW_BYTES_MAX))
    size = (3 * RAW_BYTES_MAX).to_bytes(4, "little")
    assert honest.count(size) == 1
    lying = honest.replace(size, (60_000).to_bytes(4, "little"))
    assert zstandard.get_frame_parameters(lying).content_size == 60_000
    assert refusal(lying) in {"truncated", "too_large"}


def test_ten_megabytes_of_rubbish_are_refused_unread() -> None:
    assert refusal(bytes(10_000_000)) == "too_large"
    assert refusal(random.Random(1).randbytes(COMPRESSED_BYTES_MAX)) == "not_zstd"


def test_a_cut_batch_is_refused() -> None:
    payload = encode_batch(sample_lines(random.Random(3), 50))
    assert refusal(payload[: len(payload) // 2]) == "truncated"


def test_a_batch_by_an_unknown_dictionary_is_kept_not_refused() -> None:
    samples: list[bytes | bytearray | memoryview] = [
        "".join(sample_lines(random.Random(i), 10)).encode() for i in range(200)
    ]
    other = zstandard.train_dictionary(4096, samples, dict_id=77)
    with pytest.raises(UnknownDictionary):
        decode_batch(zstandard.ZstdCompressor(dict_data=other).compress(b"line\n"))


def test_text_that_is_not_ascii_lines_is_refused() -> None:
    compress = zstandard.ZstdCompressor().compress
    assert refusal(compress("münster\n".encode())) == "text"
    assert refusal(compress(b"no newline at the end")) == "text"


def test_the_key_of_a_batch_survives_the_trip() -> None:
    key = BatchKey(bytes(range(16)), 2**40 + 5, digest(b"payload"))
    assert BatchKey.unpack(key.pack()) == key
    with pytest.raises(BadBatch):
        BatchKey.unpack(key.pack()[:-1])


def test_any_shell_can_read_a_batch_with_the_shipped_dictionary(tmp_path) -> None:
    """The promise of the wire page: `zstd -d -D <dictionary>` makes a batch readable."""
    lines = sample_lines(random.Random(4), 20)
    program = shutil.which("zstd")
    dictionary = resources.files("wire") / "dictionaries" / f"{DICTIONARY_ID}.zdict"
    payload = encode_batch(lines)
    if program is None:  # the same through the library that the command is made of
        data = zstandard.ZstdCompressionDict(dictionary.read_bytes())
        out = zstandard.ZstdDecompressor(dict_data=data).decompress(payload)
    else:
        (tmp_path / "d").write_bytes(dictionary.read_bytes())
        command = [program, "-d", "-D", str(tmp_path / "d"), "-c"]
        out = subprocess.run(command, input=payload, capture_output=True, check=True).stdout
    assert out.decode().splitlines() == lines


def test_the_dictionary_more_than_halves_what_zstd_alone_would_send() -> None:
    lines = sample_lines(random.Random(5), 13)
    plain = zstandard.ZstdCompressor(level=9).compress("\n".join(lines).encode())
    assert len(encode_batch(lines)) < 0.65 * len(plain)


def test_two_threads_pack_and_open_batches_at_once() -> None:
    # `make chaos`, seed 2: one zstd context for both threads ended the agent, or its process.
    def back_and_forth(thread: int) -> int:
        lines = [f"parking_spot,device=bay-{thread} occupied={n % 2}i {n}" for n in range(200)]
        return sum(decode_batch(encode_batch(lines[n:])) != lines[n:] for n in range(199))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(back_and_forth, range(2))) == [0, 0]
