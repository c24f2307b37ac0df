"""`gampong doctor gateway.toml`: is it the sensor, the cable, the gateway or the cloud?

In: the gateway's configuration. Out: a line a finding on stdout as it is found, in the shell's
language (`--json`: all of them, in English), an exit code: 0 when nothing fails, 1 when something
does, 2 when the configuration can't be read. `--bundle FILE` packs what a developer needs to help:
no key, password or token is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import platform
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gampong.spoken import complain, spoken
from wire.configuration import ConfigurationError
from wire.sentence import told

if TYPE_CHECKING:
    from edge.configuration import EdgeConfiguration
    from edge.doctor import Finding

FAILED = 1
UNUSABLE = 2
MARKS = {"pass": "✓", "warn": "!", "fail": "✗"}


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    doctor = subparsers.add_parser(
        "doctor",
        help="look at a gateway: what is wrong, and what to do",
        description="Changes nothing; works beside a running agent. Exit code: 0 when nothing "
        "fails, 1 when something does, 2 when the configuration can't be read.",
    )
    doctor.add_argument("file", type=Path, metavar="FILE", help="gateway.toml")
    doctor.add_argument("--json", action="store_true", help="all findings, as JSON")
    doctor.add_argument(
        "--bundle", type=Path, metavar="FILE.tar.gz", help="pack it all for support, no secrets"
    )
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong doctor`."""
    from edge.doctor import as_json

    try:
        text = arguments.file.read_text(encoding="utf-8")
        configuration = _configuration(text, arguments.file)
    except (ConfigurationError, OSError, UnicodeDecodeError) as error:
        complain("doctor", error)
        return UNUSABLE
    heard = (lambda finding: None) if arguments.json else say
    findings = asyncio.run(_all(configuration, heard, arguments.file))
    if arguments.json:
        print(as_json(findings).decode())
    if arguments.bundle:
        _pack(arguments.bundle, text, configuration, findings)
        packed = told("{file}: for support; it holds no secret", file=arguments.bundle)
        print(spoken(packed), file=sys.stderr)
    return FAILED if any(finding.verdict == "fail" for finding in findings) else 0


def _configuration(text: str, file: Path) -> EdgeConfiguration:
    from edge.configuration import load_configuration

    return load_configuration(text, str(file))


async def _all(configuration: EdgeConfiguration, heard: object, file: Path) -> list[Finding]:
    from edge.doctor.line import look_at_outbox
    from edge.doctor.machine import look_at_machine
    from edge.doctor.network import look_at_network
    from edge.doctor.settings import look_at_file
    from wire.clock import SystemClock

    assert callable(heard)
    findings: list[Finding] = []

    def take(some: Iterable[Finding]) -> None:
        for finding in some:
            findings.append(finding)
            heard(finding)

    take([look_at_file(file, configuration)])
    take(look_at_machine(configuration))
    async for finding in look_at_network(configuration):
        take([finding])
    take(look_at_outbox(configuration, SystemClock().now_ms()))
    return findings


def say(finding: Finding) -> None:
    """A finding for a person."""
    print(f"{MARKS[finding.verdict]} {spoken(finding.look)}: {spoken(finding.seen)}")
    if finding.remedy:
        print(f"    {spoken(finding.remedy)}")


def _pack(path: Path, text: str, configuration: EdgeConfiguration, findings: list[Finding]) -> None:
    """Secrets stand in files of their own, which the configuration only names: they stay out."""
    import msgspec

    from edge.doctor import as_json
    from edge.outbox_export import look_at
    from edge.outbox_file import OutboxError
    from gampong import __version__

    files = {
        "gateway.toml": text.encode(),
        "doctor.json": as_json(findings),
        "versions.txt": f"gampong {__version__}\n{platform.platform()}\n{sys.version}\n".encode(),
    }
    try:
        with look_at(Path(configuration.outbox.path)) as outbox:
            files["outbox.json"] = msgspec.json.format(msgspec.json.encode(outbox.summary()))
    except OutboxError as error:
        files["outbox.txt"] = f"{error}\n".encode()
    with tarfile.open(path, "w:gz") as packed:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"gampong-{configuration.gateway.name}/{name}")
            entry.size = len(data)
            packed.addfile(entry, io.BytesIO(data))
