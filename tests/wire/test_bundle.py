"""A bundle survives a stick, a screen and a scanner, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bundle import PREFIX, TEXT_MAX, BadBundle, Bundle, decode_bundle, encode_bundle

BUNDLE = Bundle("mahirah-01", "pasar", "mqtt.example.org", 8883, (b"ca",), (b"own",), b"key")


def test_a_bundle_comes_back_whole_even_broken_into_lines() -> None:
    text = encode_bundle(BUNDLE)
    broken = "\r\n".join(text[at : at + 20] for at in range(0, len(text), 20))
    assert decode_bundle(text) == decode_bundle(f" {broken}\n") == BUNDLE


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://example.org/menu", "not a gateway's bundle"),
        ("", "not a gateway's bundle"),
        (PREFIX, "damaged"),
        (PREFIX + "####", "damaged"),
        (PREFIX + encode_bundle(BUNDLE)[len(PREFIX) : -8], "damaged"),
        (encode_bundle(BUNDLE) + "A" * TEXT_MAX, "too long"),
        (encode_bundle(Bundle("a", "b", "c", 0, (b"x",), (b"y",))), "incomplete"),
        (encode_bundle(Bundle("a", "b", "c", 8883, (), ())), "incomplete"),
    ],
)
def test_what_is_no_bundle_is_named_with_a_remedy(text: str, why: str) -> None:
    with pytest.raises(BadBundle, match=why):
        decode_bundle(text)


@given(st.text() | st.binary().map(lambda data: PREFIX + data.hex()))
def test_any_text_is_a_bundle_or_refused(text: str) -> None:
    try:
        bundle = decode_bundle(text)
    except BadBundle:
        return
    assert decode_bundle(encode_bundle(bundle)) == bundle
