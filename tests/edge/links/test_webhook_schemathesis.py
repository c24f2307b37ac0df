"""schemathesis at a payments gateway's door, signed and unsigned: it answers and goes on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devices.envelope import rfc3339
from tests.edge.links.sender import SECRET, payment, post, signed, toml
from tests.processes import Gampong
from tests.servers import free_port
from wire.clock import SystemClock

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance"
EXAMPLES = 25

SIGNS = '''
"""Signs whatever schemathesis sends, at the last moment."""
import hashlib
import hmac
import time

import schemathesis


def sign(request):
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    now = str(int(time.time()))
    made = hmac.new(b"SECRET", now.encode() + b"." + body, hashlib.sha512)
    request.headers["X-Callback-Time"] = now
    request.headers["X-Callback-Signature"] = made.hexdigest()
    return request


@schemathesis.hook
def before_call(context, case, kwargs):
    kwargs["auth"] = sign
'''


def _answer(what: str) -> dict[str, Any]:
    result = {"type": "object", "required": ["result"]}
    return {"description": what, "content": {"application/json": {"schema": result}}}


def described() -> dict[str, Any]:
    """The door as OpenAPI."""
    text: dict[str, Any] = {"type": "string"}
    number = {"anyOf": [{**text, "pattern": "^[A-Z]{1,2}-[0-9]{1,4}$"}, text]}
    now_ms = SystemClock().now_ms()
    time = {"enum": [rfc3339(now_ms - ago_ms) for ago_ms in (1000, 7000)]}
    amount = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 2_000_000}, text]}
    paid = {
        "transaction_id": number,
        "gross_amount": amount,
        "settlement_time": time,
        "status": {"const": "settlement"},
        "store": text,
    }
    brought = {
        "deposit": number,
        "weight_kg": {"type": "number", "minimum": -1, "maximum": 11_000},
        "waste_kind": {"enum": ["plastic", "paper", "gold"]},
        "points": {"type": "integer"},
        "time": time,
        "bank": {"const": "bank-1"},
    }
    statuses = ("200", "400", "401", "404", "405", "408", "409", "413", "422", "431")
    paths = {}
    for path, fields in (("/payments", paid), ("/deposits", brought)):
        event = {"type": "object", "properties": fields, "required": list(fields)}
        body = {"required": True, "content": {"application/json": {"schema": event}}}
        answers = {status: _answer("a word") for status in statuses}
        paths[path] = {"post": {"requestBody": body, "responses": answers}}
    info = {"title": "events", "version": "1"}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


@pytest.mark.parametrize("way", ["signed", "unsigned"])
def test_no_event_makes_an_error_of_the_door(tmp_path, seed, way):
    port = free_port()
    text = toml(tmp_path).replace("127.0.0.1:0", f"127.0.0.1:{port}")
    outbox = f'[broker]\nport = {free_port()}\n[outbox]\npath = "{tmp_path}/outbox.db"\n'
    (tmp_path / "payments.toml").write_text(text.replace("[time]", f"{outbox}\n[time]"))
    (tmp_path / "openapi.json").write_text(json.dumps(described()))
    (tmp_path / "signs.py").write_text(SIGNS.replace("SECRET", SECRET))
    hooks = {"SCHEMATHESIS_HOOKS": "signs", "PYTHONPATH": str(tmp_path)} if way == "signed" else {}
    with Gampong("payments", tmp_path, "edge", "run", "payments.toml") as agent:
        agent.said("event=link_up link=gateway")
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "run", "openapi.json",
            "--url", f"http://127.0.0.1:{port}", "--checks", CHECKS, "--seed", str(seed),
            "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--no-color",
        ]  # fmt: skip
        ended = subprocess.run(
            command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        (tmp_path / "said.txt").write_text(ended.stdout)
        assert ended.returncode == 0, ended.stdout[-6000:]
        body = payment("after it all", settlement_time=rfc3339(SystemClock().now_ms() - 1000))
        headers = signed(body, SystemClock().now_ms())
        assert asyncio.run(post(port, body, headers)) == (200, "stored")
        assert agent.stop(20) == 0
