"""Somebody who posts signed events: over real sockets, as slowly and as badly as a test wants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h11

from devices.signature import Rule, sign
from edge.configuration import EdgeConfiguration, load_configuration

NOW_MS = 1_790_000_000_000
SECOND = "2026-09-21 21:13:20"  # of Jakarta, as payment gateways say it: without an offset
SECRET, NEXT = "a secret of the test city", "the one that follows it"
RULE = Rule("hmac-sha512", "x-callback-signature", time_header="x-callback-time")

BANK = """[field_map.bank]
kind = "waste_deposit"
fields.weight_kg = { from = "weight_kg" }
fields.waste_kind = { from = "waste_kind" }
fields.points = { from = "points" }
fields.deposit = { from = "deposit" }
time = { from = "time" }
"""
"""What a waste bank's book says, as `deposit` and `gampong deposits send` post it."""

TOML = """
[gateway]
name = "payments-01"
site = "pasar"

[time]
trust = "system"

[field_map.qris]
kind = "payment"
fields.amount_idr = {{ from = "gross_amount" }}
fields.transaction = {{ from = "transaction_id" }}
time = {{ from = "settlement_time", offset = "+07:00" }}

{bank}

[[link]]
type = "webhook"
name = "gateway"
listen = "127.0.0.1:0"
request_s = {request_s}
numbers_path = "{folder}/numbers.db"
[link.signature]
scheme = "hmac-sha512"
header = "X-Callback-Signature"
time_header = "X-Callback-Time"
secret_files = ["{folder}/new.secret", "{folder}/old.secret"]

[[device]]
name = "terminal-a"
driver = "qris"
link = "gateway"
topic = "payments"
match = {{ status = "settlement", store = "a" }}
zone = "a"

[[device]]
name = "terminal-b"
driver = "qris"
link = "gateway"
topic = "payments"
match = {{ status = "settlement" }}
zone = "b"

[[device]]
name = "bank-1"
driver = "bank"
link = "gateway"
topic = "deposits"
match = {{ bank = "bank-1" }}
"""


def toml(folder: Path, request_s: float = 5.0) -> str:
    """A gateway of two terminals and a waste bank; its secrets are in the folder."""
    for name, secret in (("new", SECRET), ("old", NEXT)):
        (folder / f"{name}.secret").write_text(secret + "\n")
        (folder / f"{name}.secret").chmod(0o600)
    return TOML.format(folder=folder, request_s=request_s, bank=BANK)


def configured(folder: Path, request_s: float = 5.0) -> EdgeConfiguration:
    return load_configuration(toml(folder, request_s), "gateway.toml")


def payment(transaction: str = "trx-1", amount: Any = "2000.00", **other: Any) -> bytes:
    told = {"transaction_id": transaction, "gross_amount": amount, "settlement_time": SECOND}
    return json.dumps({**told, "status": "settlement", **other}).encode()


def deposit(number: str = "d-1", **other: Any) -> bytes:
    told = {"deposit": number, "bank": "bank-1", "weight_kg": 2.5, "waste_kind": "plastic"}
    return json.dumps({**told, "points": 25, "time": "2026-09-21T14:13:20Z", **other}).encode()


def signed(body: bytes, now_ms: int, secret: str = SECRET) -> dict[str, str]:
    return sign(RULE, secret.encode(), body, now_ms / 1000)


async def post(
    port: int,
    body: bytes,
    headers: Mapping[str, str],
    path: str = "/payments",
    method: str = "POST",
) -> tuple[int, str]:
    """One request over a connection of its own: the status and the word of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(written(body, headers, path, method))
        return answered(await asyncio.wait_for(reader.read(), 30))
    finally:
        writer.close()


def written(
    body: bytes, headers: Mapping[str, str], path: str = "/payments", method: str = "POST"
) -> bytes:
    """The request's bytes."""
    client = h11.Connection(h11.CLIENT)
    fields = [("Host", "pay.example"), ("Content-Length", str(len(body))), *headers.items()]
    head = client.send(h11.Request(method=method, target=path, headers=fields))
    return (head or b"") + body


def answered(data: bytes) -> tuple[int, str]:
    """Status and word; (0, "") for a connection that was closed without an answer."""
    if not data:
        return 0, ""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    status, body = 0, b""
    while (event := client.next_event()) is not h11.NEED_DATA:
        if isinstance(event, h11.Response):
            status = event.status_code
            assert dict(event.headers)[b"connection"] == b"close"
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            break
    return status, json.loads(body)["result"]
