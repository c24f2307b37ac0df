"""A message is taken from who signed it, unchanged and in its time, and from nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.signature import NotGenuine, Rule, check, opened, sign

NOW_S = 1_790_000_000.0
OLD, NEW, OTHER = b"the secret before now", b"the secret from now on", b"somebody else's secret"
BODY = b'{"transaction_id":"trx-1","gross_amount":"2000.00"}'

RULES = [
    Rule(),
    Rule("hmac-sha512"),
    Rule("hmac-sha256", "x-callback-signature", "base64"),
    Rule("hmac-sha512", time_header="x-time"),
    Rule("token", "x-callback-token"),
]


def refused(rule: Rule, secrets: list[bytes], headers: dict[str, str], body: bytes = BODY) -> str:
    with pytest.raises(NotGenuine) as error:
        check(rule, secrets, headers, body, NOW_S)
    return error.value.reason


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.scheme}-{rule.encoding}")
def test_what_the_sender_signs_passes_with_the_new_and_the_old_secret_and_with_no_other(rule):
    for secret in (OLD, NEW):
        check(rule, [NEW, OLD], sign(rule, secret, BODY, NOW_S), BODY, NOW_S)
    assert refused(rule, [NEW], sign(rule, OLD, BODY, NOW_S)) == "signature"
    assert refused(rule, [NEW, OLD], sign(rule, OTHER, BODY, NOW_S)) == "signature"
    assert refused(rule, [], sign(rule, NEW, BODY, NOW_S)) == "signature"
    assert refused(rule, [NEW, OLD], {}) == "unsigned"


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.scheme != "token"])
def test_a_message_changed_anywhere_is_refused(rule, seed):
    draw = random.Random(seed)
    headers = sign(rule, NEW, BODY, NOW_S)
    for _ in range(50):
        at = draw.randrange(len(BODY))
        changed = BODY[:at] + bytes((BODY[at] ^ 1 << draw.randrange(8),)) + BODY[at + 1 :]
        assert refused(rule, [NEW], headers, changed) == "signature"
    for text in ("", "00", "zz", headers[rule.header][:-1], headers[rule.header] + "0", "\xff"):
        assert refused(rule, [NEW], {**headers, rule.header: text}) in ("signature", "unsigned")


def test_the_digest_is_the_one_that_any_library_makes():
    made = hmac.new(NEW, BODY, hashlib.sha256)
    check(Rule(), [NEW], {"x-signature": made.hexdigest().upper()}, BODY, NOW_S)
    check(Rule(), [NEW], {"x-signature": f"sha256={made.hexdigest()}"}, BODY, NOW_S)
    text = base64.b64encode(made.digest()).decode()
    rule = Rule(header="signature", encoding="base64")
    check(rule, [NEW], {"signature": f"HMACSHA256={text}"}, BODY, NOW_S)


def test_a_time_is_signed_with_the_body_and_only_its_minutes_are_taken():
    rule = Rule(time_header="x-time", within_s=300)
    for age_s, reason in ((299, ""), (-299, ""), (301, "stale"), (-301, "stale")):
        headers = sign(rule, NEW, BODY, NOW_S - age_s)
        if reason:
            assert refused(rule, [NEW], headers) == reason
        else:
            check(rule, [NEW], headers, BODY, NOW_S)
    old = sign(rule, NEW, BODY, NOW_S - 400)
    assert refused(rule, [NEW], {**old, "x-time": str(int(NOW_S))}) == "signature"
    for text in ("", "-1", "now", "1" * 14, "１"):
        assert refused(rule, [NEW], {**old, "x-time": text}) == "unsigned"


def midtrans(**changes: object) -> bytes:
    told = {"order_id": "1111", "status_code": "200", "gross_amount": "100000.00"}
    key = hashlib.sha512(b"1111200100000.00" + NEW).hexdigest()
    return json.dumps({**told, "signature_key": key, **changes}).encode()


def test_midtrans_signs_order_status_and_amount_inside_the_message():
    rule = Rule("midtrans")
    check(rule, [OLD, NEW], {}, midtrans(), NOW_S)
    check(rule, [NEW], {}, midtrans(settlement_time="any"), NOW_S)  # it signs nothing else
    for name in ("order_id", "status_code", "gross_amount"):
        assert refused(rule, [NEW], {}, midtrans(**{name: "999"})) == "signature"
        assert refused(rule, [NEW], {}, midtrans(**{name: None})) == "unsigned"
    for body in (b"", b"[]", b"nonsense", b"\xff", b"[" * 5000, midtrans(signature_key=7)):
        assert refused(rule, [NEW], {}, body) == "unsigned"
    assert refused(rule, [NEW], {}, midtrans(signature_key="zz")) == "signature"


def test_midtrans_words_are_not_cut_at_another_place_than_midtrans_cuts_them():
    joined = "1111200100000.00"  # order 1111, status 200, 100,000 rupiah
    assert cuts_taken(Rule("midtrans"), joined) == [("1111", "200", "100000.00")]


@pytest.mark.parametrize(
    ("status_code", "gross_amount"),
    [
        *((status, "2000.00") for status in ("20", "2000", "20a", " 200", "٢٠٠", "000", "200\n")),
        *(("200", amount) for amount in ("02000.00", "2000.000", "2000.", ".50", "-1", "1e3")),
        *(("200", amount) for amount in ("2,000.00", "2000.00\n", "٢٠٠٠", "00")),
    ],
)
def test_midtrans_words_of_another_shape_are_refused_even_when_signed(status_code, gross_amount):
    def told(status: str, amount: str) -> bytes:
        key = hashlib.sha512(f"1111{status}{amount}".encode() + NEW).hexdigest()
        return midtrans(status_code=status, gross_amount=amount, signature_key=key)

    assert refused(Rule("midtrans"), [NEW], {}, told(status_code, gross_amount)) == "signature"
    for amount in ("2000.00", "2000", "0.5", "0"):
        check(Rule("midtrans"), [NEW], {}, told("201", amount), NOW_S)


JOINED_LIKE_MIDTRANS = st.tuples(
    st.from_regex(r"[0-9A-Za-z._~-]{0,12}", fullmatch=True),
    st.from_regex(r"(a|[24]0[0-27])?", fullmatch=True),  # an order number that ends like a status
    st.sampled_from(["200", "201", "202", "407"]),
    st.from_regex(r"([1-9][0-9]{0,3})?(200|201)?[1-9][0-9]{0,3}(\.00?)?", fullmatch=True),
)


@given(JOINED_LIKE_MIDTRANS, st.sampled_from(["-", "g", "-kota", "_", "~", "7-"]))
def test_what_midtrans_signs_can_be_cut_in_one_way_only_where_orders_end_as_agreed(parts, suffix):
    number, tail, status, amount = parts
    order = number + tail + suffix
    taken = cuts_taken(Rule("midtrans", order_suffix=suffix), order + status + amount)
    assert taken == [(order, status, amount)]


def test_no_grammar_of_midtrans_tells_where_an_order_number_that_ends_in_digits_ends():
    taken = cuts_taken(Rule("midtrans"), "a2001200500.00")
    assert taken == [("a", "200", "1200500.00"), ("a2001", "200", "500.00")]
    assert cuts_taken(Rule("midtrans", order_suffix="-"), "a2001200500.00") == []


def cuts_taken(rule: Rule, joined: str) -> list[tuple[str, ...]]:
    """All ways to tell what was signed that are believed; the most telling ones are short."""
    key = hashlib.sha512(joined.encode() + NEW).hexdigest()
    names = ("order_id", "status_code", "gross_amount")
    taken: list[tuple[str, ...]] = []
    for first in range(1, len(joined)):
        for second in range(first + 1, len(joined)):
            words = joined[:first], joined[first:second], joined[second:]
            told = midtrans(**dict(zip(names, words, strict=True)), signature_key=key)
            try:
                check(rule, [NEW], {}, told, NOW_S)
            except NotGenuine:
                continue
            taken.append(words)
    return taken


def test_where_there_are_no_headers_they_stand_beside_the_text_that_is_signed():
    rule = Rule()
    message = {"body": BODY.decode(), **sign(rule, NEW, BODY, NOW_S)}
    headers, body = opened(json.dumps(message).encode())
    assert body == BODY
    check(rule, [NEW], headers, body, NOW_S)
    for data in (b"", b"{}", b'{"body":{}}', b"[1]", b"\xff"):
        with pytest.raises(NotGenuine):
            opened(data)
