"""`gampong opendata` as a process of its own, on a free port, over either database."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

from ingest.stores.configuration import SqliteSettings, StoreSettings

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "gampong", "opendata")
PLENTY = "requests_a_minute = 1000000\nburst = 1000000\n"
LIMIT_S = 30.0


class Answer:
    """Status, headers and body."""

    def __init__(self, status: int, headers: Message, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Public:
    """A process that answers at `address`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address.rstrip("/")

    def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urlopen(Request(self.address + path, headers=named), timeout=20) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except HTTPError as error:
            return Answer(error.code, error.headers, error.read())


def toml(store: StoreSettings, head: str = PLENTY) -> str:
    """An opendata.toml for that store, on any free port."""
    said: dict[str, Any] = msgspec.to_builtins(store)
    tables = {name: value for name, value in said.items() if isinstance(value, dict)}
    lines = [f"port = 0\n{head}\n[store]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in said.items() if key not in tables]
    for name, table in tables.items():
        lines += [f"[store.{name}]", *(f"{key} = {json.dumps(v)}" for key, v in table.items())]
    return "\n".join(lines)


@contextmanager
def public(store: Path | StoreSettings, folder: Path, head: str = PLENTY) -> Iterator[Public]:
    """Run it until the end of the block; it must still be there then."""
    settings = SqliteSettings(path=str(store)) if isinstance(store, Path) else store
    file = folder / "opendata.toml"
    file.write_text(toml(settings, head), encoding="utf-8")
    command = [*COMMAND, "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            words = process.stdout.readline().split()
            assert words[:1] == ["opendata"]
            yield Public(process, words[1])
            assert process.poll() is None
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    """It has to become true by itself."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
