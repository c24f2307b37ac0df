"""A day of open data as CSV, with the city's detached signature that anyone can check.

    gampong-2026-08-01.csv       the hours of that day, a line a device, hour and field
    gampong-2026-08-01.csv.p7s   CMS (RFC 5652), DER, detached, with the signer's certificate

    openssl cms -verify -binary -inform DER -in DAY.csv.p7s -content DAY.csv \\
        -CAfile ca.pem -purpose any -out /dev/null

The same day from the same store is the same bytes again (the signature has its own time in it).
The day is the city's, midnight to midnight; times in the file are UTC. Both files appear whole or
not at all, the signature last.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from dashboards.opendata.configuration import OpenDataConfiguration
from dashboards.opendata.public import PUBLIC, fields_of, shown
from dashboards.opendata.records import utc
from dashboards.store_file import Source, open_source
from devices.kinds import KINDS
from ingest.stores import Bucket, Query, Row
from ingest.stores.query import ROWS_MAX
from wire.clock import Clock
from wire.small_file import read_secret

COLUMNS = ("kind", "site", "zone", "device", "hour", "field", "unit", "mean", "min", "max", "count")
_HOUR_MS = 3_600_000
_SUMMARIES = COLUMNS[7:]


class ExportError(Exception):
    """The day can't be exported; the text says what to do."""


class Signer:
    """A certificate and its key; only what openssl verifies: RSA and elliptic curves."""

    def __init__(self, certificate: Path, key: Path) -> None:
        try:
            secret = read_secret(str(key), "--key")
            self._certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
            found = serialization.load_pem_private_key(secret, password=None)
        except (OSError, ValueError, TypeError) as error:
            raise ExportError(f"{certificate}, {key}: {error}. Give PEM files") from error
        if not isinstance(found, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ExportError(f"{key}: only RSA and elliptic-curve keys can sign")
        if found.public_key() != self._certificate.public_key():
            raise ExportError(f"{key} isn't the key of {certificate}")
        self._key = found

    def sign(self, data: bytes) -> bytes:
        """A detached CMS signature of `data`, DER."""
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(data)
        signed = builder.add_signer(self._certificate, self._key, hashes.SHA256())
        return signed.sign(serialization.Encoding.DER, options)


async def export_day(
    settings: OpenDataConfiguration, clock: Clock, day: date, signer: Signer, folder: Path
) -> tuple[Path, Path]:
    """Write the day's file and its signature into `folder`; both paths.

    Raises:
        ExportError: the day isn't over yet, or it has no hours.
        StoreError: the store is away.
        OSError: the folder can't be written.
    """
    start_ms, stop_ms = _span(day, settings.time_zone)
    if stop_ms > clock.now_ms():
        raise ExportError(f"{day} isn't over yet in {settings.time_zone}")
    path = folder / f"gampong-{day}.csv"
    part = path.with_suffix(".csv.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            async with open_source(settings.store, clock) as source:
                lines = await _write(file, source, settings, start_ms, stop_ms)
        if not lines:
            raise ExportError(f"{day} has no hours: the watch makes them (see docs/operator.md)")
        signature = path.with_suffix(".csv.p7s")
        signature_part = path.with_suffix(".p7s.part")
        signature_part.write_bytes(signer.sign(part.read_bytes()))
        signature.unlink(missing_ok=True)  # a new file must never stand beside an old signature
        part.replace(path)
        signature_part.replace(signature)
    finally:
        part.unlink(missing_ok=True)
    return path, signature


async def _write(
    file: TextIO, source: Source, settings: OpenDataConfiguration, start_ms: int, stop_ms: int
) -> int:
    """All kinds, hour by hour, so that memory holds one hour of one kind; how many lines."""
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    lines = 0
    for kind in (kind for kind in PUBLIC if kind in settings.kinds):
        for hour_ms in range(start_ms, stop_ms, _HOUR_MS):
            rows = await source.read(
                Query(
                    kind=kind,
                    fields=fields_of(kind, summed=True),
                    start_ms=hour_ms,
                    stop_ms=min(hour_ms + _HOUR_MS, stop_ms),
                    bucket=Bucket.HOURLY,
                    limit=ROWS_MAX,
                )
            )
            for line in _lines(kind, rows, settings.people_step):
                writer.writerow(line)
                lines += 1
    return lines


def _lines(kind: str, rows: list[Row], step: int) -> Iterator[list[object]]:
    """In an order that is the same in every database."""
    by_place = sorted(rows, key=lambda row: (row.time_ms, sorted(row.tags.items())))
    for row in by_place:
        fields = shown(row.fields, step)
        tags = row.tags
        head = [kind, tags["site"], tags["zone"], tags["device"], utc(row.time_ms)]
        for name in PUBLIC[kind]:
            values = [fields.get(f"{name}_{summary}") for summary in _SUMMARIES]
            if any(value is not None for value in values):
                yield [*head, name, KINDS[kind].fields[name].unit, *values]


def _span(day: date, zone: str) -> tuple[int, int]:
    """From and to (excluded) of a day of the city's calendar, Unix milliseconds."""
    midnights = (
        datetime.combine(each, time(), ZoneInfo(zone)) for each in (day, day + timedelta(1))
    )
    start, stop = (round(each.timestamp() * 1000) for each in midnights)
    return start, stop
