"""A certificate that OpenSSL takes and the library that reads its name doesn't: refused, in words.

Found by `make fuzz` in an enrolment's bundle: a certificate of version 128.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.doctor import Verdict
from edge.doctor.network import certificate
from edge.enrolment import _common_names
from wire.sentence import constant

ODD = bytes.fromhex(
    "3082010b3081b1a00302017f02014d300a06082a8648ce3d040302300f310d300b06035504030c0467772d61"
    "301e170d3236313130313030303030305a170d3237303133303030303030305a300f310d300b06035504030c"
    "0467772d613059301306072a8648ce3d020106082a8648ce3d03010703420004e25e340d4eed89f8bb2c5b0b"
    "2f2127b7f7bff91462d3f244fa819e0d00de66f86695ef920e88eace28b8309bcfc1f8b8d1a2c7f9bc8cadca"
    "4386113451464e02300a06082a8648ce3d0403020349003046022100f1a3565d1311fee059ba32f8a5df31d7"
    "3d3251d7e754916efa7ffe8e517d20a0022100ee83d1bdbe11c26649b946b6b768bb5f562cd947a944a915ec"
    "68baccb2a0edc5"
)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.pem"
    text = base64.encodebytes(ODD).decode()
    file.write_text(f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    return file


def test_an_enrolment_calls_it_no_certificate(odd: Path) -> None:
    with pytest.raises(ValueError, match="127"):
        _common_names(odd)


def test_the_doctor_names_the_file(odd: Path) -> None:
    look = constant("certificate")
    found = certificate(look, odd, datetime(2026, 11, 22, tzinfo=UTC))
    assert found.verdict is Verdict.FAIL
    assert "gateway.pem" in str(found.seen)
