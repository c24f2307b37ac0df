"""`gampong`: one command, a module for each of its words.

Only the module of the word that was given is imported, and each imports its room when it runs: an
agent on a gateway must not pay for the pages' memory.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence

from gampong import __version__
from gampong.help_language import speak_indonesian, speaks_indonesian

COMMANDS = {
    "demo": "gampong.demo_command",
    "simulate": "gampong.simulate_command",
    "edge": "gampong.edge_command",
    "outbox": "gampong.outbox_command",
    "ingest": "gampong.ingest_command",
    "backup": "gampong.backup_command",
    "watch": "gampong.watch_command",
    "alerts": "gampong.alerts_command",
    "page": "gampong.page_command",
    "account": "gampong.account_command",
    "opendata": "gampong.opendata_command",
    "deposits": "gampong.deposits_command",
    "dashboards": "gampong.dashboards_command",
    "figures": "gampong.figures_command",
    "round": "gampong.round_command",
    "device": "gampong.device_command",
    "gateway": "gampong.gateway_command",
    "doctor": "gampong.doctor_command",
    "bus": "gampong.bus_command",
    "scan": "gampong.scan_command",
    "probe": "gampong.probe_command",
    "calibrate": "gampong.calibrate_command",
    "completion": "gampong.completion_command",
    "devices": "gampong.devices_command",
    "decode": "gampong.devices_command",
}
"""First word → the module whose `configure(subparsers)` knows it."""


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """A parser for the command that `words` begins with, or for all of them."""
    top = argparse.ArgumentParser(
        prog="gampong", description="A sensor network that a small city can afford."
    )
    top.add_argument("--version", action="version", version=f"gampong {__version__}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    first = words[0] if words else ""
    modules = [COMMANDS[first]] if first in COMMANDS else list(dict.fromkeys(COMMANDS.values()))
    for module in modules:
        importlib.import_module(module).configure(subparsers)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is its own, 1 after a bug, 130 after Ctrl-C."""
    words = sys.argv[1:] if argv is None else list(argv)
    knowing = parser(words)
    if {"-h", "--help"}.intersection(words) and speaks_indonesian(os.environ):
        speak_indonesian(knowing)
    arguments = knowing.parse_args(words)
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `gampong outbox export | head`
        sys.stderr.close()
        return 0
    except Exception:
        logging.getLogger("gampong").critical(
            "event=bug command=%s\n%s", arguments.command, traceback.format_exc()
        )
        return 1
    return code
