"""A waste bank's book as a spreadsheet saves it, to deposits that can be sent. Pure.

In: the bytes of a CSV file with a header line. Out: deposits; the lines that are none, with why.

    deposit,time,bank,waste_kind,weight_kg,points
    0001,2026-11-22 09:30,bank-lampineung,plastic,2.5,25

Column names and kinds of waste may be Indonesian (`nomor;waktu;bank;jenis;berat_kg;poin`), columns
stand in any order, separated by commas, or by semicolons with decimal commas. A time without an
offset is the city's, a date alone its noon. Any other column stays where it is: names, telephone
and account numbers are nobody's business here (docs/privacy.md).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from devices.kinds import WASTE_DEPOSIT
from devices.reading import Undecodable, Value, check_fields
from wire.line import NAME

LINES_MAX = 100_000
BYTES_MAX = 16 * 1024 * 1024
NOON = "T12:00:00"

COLUMNS = {
    "deposit": "deposit", "nomor": "deposit", "no": "deposit",
    "time": "time", "waktu": "time", "tanggal": "time",
    "bank": "bank", "bank_sampah": "bank",
    "waste_kind": "waste_kind", "jenis": "waste_kind", "jenis_sampah": "waste_kind",
    "weight_kg": "weight_kg", "berat_kg": "weight_kg", "berat": "weight_kg",
    "points": "points", "poin": "points",
}  # fmt: skip
"""A header's word, in lower case and with _ for a blank → what it is."""

WASTE_KINDS = {
    "organik": "organic", "anorganik": "inorganic", "kaca": "glass", "minyak": "oil",
    "jelantah": "oil", "plastik": "plastic", "logam": "metal", "besi": "metal", "kertas": "paper",
    "kardus": "paper", "baterai": "batteries", "elektronik": "electronics", "b3": "hazardous",
    "berbahaya": "hazardous", "lainnya": "other", "lain": "other",
}  # fmt: skip


class BookError(Exception):
    """A file that is no book; the text says what is missing."""


class Deposit(msgspec.Struct, frozen=True):
    """One line. `time` is RFC 3339 with its offset; `line` is where it stands in the file."""

    line: int
    deposit: str
    time: str
    bank: str
    waste_kind: str
    weight_kg: float
    points: int = 0

    def event(self) -> dict[str, Value]:
        """What is sent: everything but the line."""
        return {name: getattr(self, name) for name in self.__struct_fields__[1:]}


class Book(msgspec.Struct, frozen=True):
    """What a file holds; `left_out` names its columns that aren't sent."""

    deposits: tuple[Deposit, ...]
    refused: tuple[tuple[int, str], ...]
    left_out: tuple[str, ...]


class _Refused(Exception):
    """A line that is no deposit, and why."""


def read_book(data: bytes, zone: ZoneInfo, bank: str = "") -> Book:
    """The book in a file; `bank` is for lines that name none.

    Raises:
        BookError: too large, not UTF-8, not CSV, or without the columns that are needed.
    """
    if len(data) > BYTES_MAX:
        raise BookError(f"more than {BYTES_MAX} bytes: send it in parts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BookError("not UTF-8: save it as CSV UTF-8") from error
    try:
        return _book(text, zone, bank)
    except csv.Error as error:
        raise BookError(f"not CSV ({error}): save it as CSV UTF-8") from error


def _book(text: str, zone: ZoneInfo, bank: str) -> Book:
    head = text.partition("\n")[0]
    separator = ";" if ";" in head else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names = [word.strip().lower().replace(" ", "_") for word in next(rows, [])]
    found = [COLUMNS.get(name, "") for name in names]
    for needed in ("deposit", "time", "waste_kind", "weight_kg"):
        if found.count(needed) != 1:
            words = " or ".join(word for word, meant in COLUMNS.items() if meant == needed)
            raise BookError(f"its first line must have one column {words}")
    if not bank and "bank" not in found:
        raise BookError("no column bank: name it with --bank")
    deposits, refused, seen = [], [], set[str]()
    for line, row in enumerate(rows, 2):
        if line > LINES_MAX:
            raise BookError(f"more than {LINES_MAX} lines: send it in parts")
        said = {name: word.strip() for name, word in zip(found, row, strict=False) if name}
        if not any(said.values()):
            continue
        try:
            deposit = _deposit(line, {"bank": bank, **_filled(said)}, separator, zone)
            if deposit.deposit in seen:
                raise _Refused(f"deposit {deposit.deposit} a second time")
        except _Refused as error:
            refused.append((line, str(error)))
        else:
            seen.add(deposit.deposit)
            deposits.append(deposit)
    left_out = tuple(name for name, meant in zip(names, found, strict=True) if name and not meant)
    return Book(tuple(deposits), tuple(refused), left_out)


def _filled(said: Mapping[str, str]) -> dict[str, str]:
    return {name: word for name, word in said.items() if word}


def _deposit(line: int, said: Mapping[str, str], separator: str, zone: ZoneInfo) -> Deposit:
    word = said.get("waste_kind", "").lower()
    deposit = Deposit(
        line=line,
        deposit=said.get("deposit", ""),
        time=_time(said.get("time", ""), zone),
        bank=said["bank"],
        waste_kind=WASTE_KINDS.get(word, word),
        weight_kg=_number("weight_kg", said.get("weight_kg", ""), separator),
        points=round(_number("points", said.get("points", "0"), separator)),
    )
    if not deposit.deposit:
        raise _Refused("no number of the deposit")
    if NAME.fullmatch(deposit.bank) is None:
        raise _Refused("bank: small letters, digits, - and _")
    fields = {name: getattr(deposit, name) for name in ("deposit", "waste_kind", "weight_kg")}
    try:
        check_fields(WASTE_DEPOSIT.name, {**fields, "points": deposit.points})
    except Undecodable as error:
        raise _Refused(error.detail) from error
    return deposit


def _time(text: str, zone: ZoneInfo) -> str:
    if len(text) == len("2026-11-22"):
        text += NOON
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise _Refused("time: give 2026-11-22 09:30") from error
    if time.tzinfo is None:
        time = time.replace(tzinfo=zone)
    return time.isoformat(timespec="seconds")


def _number(name: str, text: str, separator: str) -> float:
    if separator == ";":
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError as error:
        raise _Refused(f"{name}: not a number") from error
    if not math.isfinite(number):
        raise _Refused(f"{name}: not a number")
    return number
