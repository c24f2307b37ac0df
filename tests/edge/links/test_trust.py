"""Certificates that nobody signed: pinned, signed by whom a file names, or refused."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest

from devices.openwrt_ap import decode
from edge.link_settings import Hotspot
from edge.links.hotspot import HotspotWatch
from edge.links.http import HttpFailed, Trust, request
from edge.links.openwrt import OpenWrt
from tests.edge.links.heard import Heard, running, until
from tests.edge.links.http_server import http_server
from tests.edge.links.test_hotspot import AccessPoint
from tests.line.certificates import Authority, Signed
from tests.secret_file import write_secret
from wire.clock import SystemClock


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> Signed:
    return Authority(tmp_path_factory.mktemp("trust") / "ca").sign("ap")


def tls(signed: Signed) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate_file, signed.key_file)
    return context


def fingerprint(signed: Signed) -> str:
    whole = ssl.PEM_cert_to_DER_cert(Path(signed.certificate_file).read_text())
    return hashlib.sha256(whole).hexdigest()


def ask(signed: Signed, trust: Trust) -> tuple[int | str, list[str]]:
    """The status or why not, and what the server was told."""

    async def scenario() -> tuple[int | str, list[str]]:
        heads: list[str] = []
        async with http_server(lambda *asked: (200, b"ok"), tls(signed), heads) as url:
            try:
                got = await request("GET", url, 5, headers={"Authorization": "x"}, trust=trust)
            except HttpFailed as error:
                return str(error), heads
            return got.status, heads

    return asyncio.run(scenario())


def test_a_certificate_that_nobody_signed_is_refused_before_the_password(signed):
    status, heads = ask(signed, Trust())
    assert "certificate verify failed" in str(status)
    assert heads == []


def test_a_named_authority_is_believed(signed):
    assert ask(signed, Trust(ca_file=str(signed.ca_file)))[0] == 200


@pytest.mark.parametrize("upper", [False, True])
def test_a_pinned_certificate_is_believed_whatever_it_names(signed, upper):
    pin = fingerprint(signed)
    colons = ":".join(pin[at : at + 2] for at in range(0, 64, 2)).upper()
    assert ask(signed, Trust(fingerprint=colons if upper else pin))[0] == 200


def test_another_certificate_than_the_pinned_one_is_told_nothing(signed):
    status, heads = ask(signed, Trust(fingerprint="00" * 32))
    assert fingerprint(signed) in str(status)  # so that the technician can compare, and pin it
    assert heads == []


def test_an_authority_file_that_is_missing_is_told(signed, tmp_path):
    assert "No such file" in str(ask(signed, Trust(ca_file=str(tmp_path / "none.pem")))[0])


def test_an_openwrt_access_point_is_read_over_a_pinned_https(signed, tmp_path):
    async def scenario():
        point, sink, clock = AccessPoint(), Heard(), SystemClock()
        password = tmp_path / "password"
        write_secret(password, "secret")
        async with http_server(point.answer, tls(signed)) as url:
            settings = Hotspot(
                name="ap",
                url=f"{url}/ubus",
                password_file=str(password),
                fingerprint=fingerprint(signed),
            )
            watch = HotspotWatch(settings, OpenWrt(settings, clock), "corner-1", 0.01, sink, clock)
            async with running(watch):
                await until(lambda: sink.payloads)
        assert decode(sink.payloads[-1][1])[0].fields["clients"] == 1

    asyncio.run(scenario())
