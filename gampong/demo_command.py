"""`gampong demo`: a simulated gampong on this machine, live until Ctrl-C or `--seconds`."""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime
from pathlib import Path


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `demo`."""
    parser = subparsers.add_parser(
        "demo",
        help="a simulated city, two gateways and the live page on this machine",
        description="Runs two gateways, a broker, an ingestor, the watch and the page over a "
        "simulated city. With --seconds it ends by itself, prints the ledger, compares what is "
        "stored with what happened, and exits 1 when they differ.",
    )
    parser.add_argument("--seed", type=int, default=1, help="which city (default 1)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="city seconds a second; 60 shows a day in 24 min"
    )
    parser.add_argument("--seconds", type=float, help="end after so many seconds of wall time")
    parser.add_argument("--port", type=int, default=8080, help="of the page; 0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address of the page")
    parser.add_argument("--start", type=datetime.fromisoformat, help="city time to begin at")
    parser.add_argument("--report", type=Path, help="write ledgers and comparison as JSON")
    parser.add_argument("--truth", type=Path, help="write what each device was asked or sent")
    parser.add_argument("--faults", action="store_true", help="noise, lost and damaged frames")
    parser.add_argument("--headless", action="store_true", help="without the page")
    parser.add_argument("--directory", type=Path, help="keep all files here (default: temporary)")
    parser.add_argument(
        "--fallback-broker", action="store_true", help="the pip-installed broker, not mosquitto"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 0 when ledger and truth agree, 1 when not, 2 when it couldn't start."""
    from gampong.demo import run_demo
    from gampong.demo_plan import DemoOptions

    return asyncio.run(run_demo(DemoOptions.of(arguments)))
