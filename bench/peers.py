"""Peers as they are found on this machine: a program's path, or why it is missing and the remedy.

They are never installed by a benchmark, and live outside of the repository.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gampong"


class Peer(msgspec.Struct, frozen=True):
    """A peer's program and version; `missing` says how it is to be had when it isn't there."""

    name: str
    program: Path = Path()
    version: str = ""
    missing: str = ""


def telegraf() -> Peer:
    """Telegraf, built by deploy/telegraf/build.sh."""
    return _found("Telegraf", "telegraf", "deploy/telegraf/build.sh", ["--version"])


def thingsboard() -> Peer:
    """The ThingsBoard gateway, in an environment of its own (its Python interpreter)."""
    program = CACHE / "thingsboard" / "bin" / "python"
    remedy = "deploy/thingsboard/install.sh"
    if not (CACHE / "thingsboard" / "bin" / "thingsboard-gateway").exists():
        return Peer("ThingsBoard gateway", missing=f"not installed ({remedy})")
    code = "from importlib.metadata import version as v; print(v('thingsboard-gateway'))"
    return Peer("ThingsBoard gateway", program, _output([str(program), "-c", code]))


def influxd() -> Peer:
    """InfluxDB 2, built by deploy/influxd/build.sh."""
    return _found("InfluxDB", "influxd", "deploy/influxd/build.sh", ["version"])


def mosquitto_version() -> str:
    """As its help says, or `not installed`."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        return "not installed"
    words = _output([program, "-h"]).split()
    return words[2] if len(words) > 2 else "unknown"


def _found(name: str, program: str, remedy: str, ask: list[str]) -> Peer:
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", str(CACHE)])
    path = shutil.which(program, path=places)
    if path is None:
        return Peer(name, missing=f"not installed ({remedy})")
    version = re.search(r"\d+\.\d+\.\d+", _output([path, *ask]))
    return Peer(name, Path(path), version[0] if version else "unknown")


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()
