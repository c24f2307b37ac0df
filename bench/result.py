"""What a benchmark found: rows with our figure, the peer's, the ratio, the target and a verdict.

    result = Result("agent_wire", "bytes counted by ... on a veth pair")
    result.rows.append(Row("a reading on the wire", "B", ours=Figure.of([25.1, 24.9]),
                           peer="JSON a reading", theirs=Figure.of([238.0]),
                           target=AtMost(30), ratio_target=8))
    publish(result, environment(mosquitto="2.0.11"), options.out)

The ratio says how many times better we are, whichever direction is better.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """The median of several runs of the same work, with the least and the greatest."""

    median: float
    least: float
    greatest: float
    runs: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """From each run's figure, at least one."""
        runs = list(values)
        return cls(statistics.median(runs), min(runs), max(runs), len(runs))

    def __str__(self) -> str:
        if self.runs == 1:
            return _short(self.median)
        return f"{_short(self.median)} ({_short(self.least)}–{_short(self.greatest)})"


class AtMost(msgspec.Struct, frozen=True, tag="at_most"):
    """Less is better, and this is the bound."""

    bound: float


class AtLeast(msgspec.Struct, frozen=True, tag="at_least"):
    """More is better, and this is the bound."""

    bound: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure beside the peer's.

    `theirs` is None when there is no peer to measure; `missing` says why when there should be one.
    `target` bounds our figure, `ratio_target` how many times better than the peer we must be;
    either may be None. `less_is_better` is the ratio's direction. `note` is a few words.
    """

    what: str
    unit: str
    ours: Figure
    peer: str = ""
    theirs: Figure | None = None
    missing: str = ""
    target: AtMost | AtLeast | None = None
    ratio_target: float | None = None
    less_is_better: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better we are; None without a peer, or where a figure is 0."""
        if self.theirs is None or not (self.ours.median and self.theirs.median):
            return None
        ratio = self.theirs.median / self.ours.median
        return ratio if self.less_is_better else 1 / ratio

    @property
    def verdict(self) -> str:
        """`met`, `missed`, `unknown` (a peer is missing), or `` where there is no target."""
        verdicts = []
        match self.target:
            case AtMost(bound):
                verdicts.append(self.ours.median <= bound)
            case AtLeast(bound):
                verdicts.append(self.ours.median >= bound)
        if self.ratio_target is not None and self.ratio is not None:
            verdicts.append(self.ratio >= self.ratio_target)
        if not all(verdicts):
            return "missed"
        if self.ratio_target is not None and self.ratio is None:
            return "unknown"
        return "met" if verdicts else ""

    def cells(self) -> list[str]:
        """The row of a Markdown table, see `HEADER`."""
        if self.theirs is not None:
            theirs = f"{self.theirs} ({self.peer})"
        else:
            theirs = f"missing: {self.missing}" if self.missing else "–"
        ratio = f"{self.ratio:.2g}×" if self.ratio is not None and self.ratio < 100 else "–"
        if self.ratio is not None and self.ratio >= 100:
            ratio = f"{self.ratio:.0f}×"
        what = f"{self.what}; {self.note}" if self.note else self.what
        target = " and ".join(self._targets()) or "–"
        return [f"{what}, {self.unit}", str(self.ours), theirs, ratio, target, self.verdict or "–"]

    def _targets(self) -> list[str]:
        texts = []
        match self.target:
            case AtMost(bound):
                texts.append(f"≤ {_short(bound)}")
            case AtLeast(bound):
                texts.append(f"≥ {_short(bound)}")
        if self.ratio_target is not None:
            texts.append(f"≥ {_short(self.ratio_target)}×")
        return texts


HEADER = ["what", "ours", "peer", "ratio", "target", ""]


class Result(msgspec.Struct):
    """A program's rows. `raw` holds whatever else is worth keeping, as JSON (a few KB)."""

    name: str
    method: str
    rows: list[Row] = []
    raw: dict[str, Any] = {}


def table(rows: Sequence[Row]) -> str:
    """A Markdown table, misses first."""
    order = ["missed", "unknown", "met", ""]
    ranked = sorted(rows, key=lambda row: order.index(row.verdict))
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in ranked)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def at(values: Sequence[float], share: float) -> float:
    """The one of these sorted values that so many of them don't exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def options(description: str, seconds: float) -> argparse.ArgumentParser:
    """The arguments that every program takes: `--seconds` (of measuring, about) and `--out`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=seconds, help="about so long a run")
    parser.add_argument("--out", type=Path, help="folder for <name>.json")
    return parser


def publish(result: Result, where: dict[str, str], out: Path | None) -> None:
    """Print environment, method and table; write `<name>.json` into `out` if given."""
    print(f"\n## {result.name}\n")
    print(", ".join(f"{key} {value}" for key, value in where.items()))
    print(f"\n{result.method}\n\n{table(result.rows)}\n", flush=True)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        rows = [
            msgspec.to_builtins(row) | {"ratio": row.ratio, "verdict": row.verdict}
            for row in result.rows
        ]
        content = {"name": result.name, "environment": where, "method": result.method}
        text = json.dumps({**content, "rows": rows, "raw": result.raw}, indent=1)
        (out / f"{result.name}.json").write_text(text + "\n", encoding="utf-8")


def _short(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
