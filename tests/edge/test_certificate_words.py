"""Errors of certificates in plain words, whichever OpenSSL spelt them."""

from __future__ import annotations

import ssl

import pytest

from edge.certificate_words import in_words


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[SSL: SSLV3_ALERT_X] sslv3 alert certificate expired (_ssl.c:2590)", "has expired"),
        ("[SSL: SSL/TLS_ALERT_X] ssl/tls alert certificate expired (_ssl.c:1)", "has expired"),
        ("[SSL: SSLV3_ALERT_X] sslv3 alert certificate revoked (_ssl.c:2590)", "was revoked"),
        ("[SSL: TLSV1_ALERT_X] tlsv1 alert unknown ca (_ssl.c:2590)", "is of an authority"),
        ("[SSL: TLSV13_ALERT_X] tlsv13 alert certificate required (_ssl.c:1)", "is missing"),
    ],
)
def test_what_the_broker_says_of_ours_is_a_refusal_in_words(said: str, words: str) -> None:
    explained = in_words(ssl.SSLError(1, said))
    assert explained.refused
    assert explained.text.startswith(f"the broker refuses this gateway's certificate: it {words}")
    assert said[:40] in explained.text


@pytest.mark.parametrize("said", ["", "Connection refused", "[SSL: WRONG_VERSION_NUMBER] wrong"])
def test_what_is_not_about_certificates_stays_as_it_is(said: str) -> None:
    assert in_words(OSError(said)) == (said, False)
