"""The page's tables from results: `python -m bench.tables bench/results docs/performance.md`.

In: the JSON files that the programs wrote. Out: one Markdown table of all rows, misses first, each
program's environment and method below; into the page between its two marks, or printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from bench.result import Row, table

MANY = 30
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


class Stored(msgspec.Struct):
    """One program's file."""

    name: str
    environment: dict[str, str]
    method: str
    rows: list[Row]


def read(folder: Path) -> list[Stored]:
    """Every result in the folder, by name."""
    files = sorted(folder.glob("*.json"))
    return [msgspec.json.decode(file.read_bytes(), type=Stored) for file in files]


def page(results: list[Stored]) -> str:
    """All rows, then how each was measured and where. A program with many rows has its table
    there, and only what it misses among the others."""
    parts = [
        table([row for each in results for row in each.rows if _stands_above(each, row)]),
    ]
    for result in results:
        where = ", ".join(f"{key} {value}" for key, value in result.environment.items())
        own = f"\n\n{table(result.rows)}" if len(result.rows) > MANY else ""
        parts.append(f"### {result.name}\n{result.method}\n\n{where}{own}")
    return "\n\n".join(parts) + "\n"


def _stands_above(result: Stored, row: Row) -> bool:
    return len(result.rows) <= MANY or row.verdict == "missed"


def placed(text: str, tables: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """The page's text with these tables between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    begin, end = marks
    before, begins, rest = text.partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise ValueError(f"{begin} and {end} are both needed")
    return f"{before}{begin}\n{tables}{end}{after}"


def main() -> int:
    tables = page(read(Path(sys.argv[1])))
    if len(sys.argv) < 3:
        print(tables, end="")
        return 0
    into = Path(sys.argv[2])
    text = into.read_text(encoding="utf-8")
    into.write_text(placed(text, tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
