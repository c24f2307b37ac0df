"""docs/dependencies.md: every package that is installed, its version, and why it is there.

    python deploy/supply/dependencies.py           writes it
    python deploy/supply/dependencies.py --check   exit code 1 when it isn't what it should be

In: pyproject.toml (what we ask for), requirements/*.txt (what is locked, with whom it is for), and
why.toml beside this file (why we ask for it). A direct dependency without a reason is refused, and
so is a reason without one. `make lock` runs it, and a test checks the page.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "dependencies.md"
SETS = ("edge", "cloud", "demo", "dev")
"""The locked sets, the smallest first: a package is named with the first ones that have it."""

HEAD = """# Dependencies

Made by `deploy/supply/dependencies.py` from `pyproject.toml`, `requirements/` and
`deploy/supply/why.toml`; don't edit. Each version is pinned with the hashes of its files, and
nothing else is installed (`pip install --require-hashes`). `make sbom` writes the same as
CycloneDX, `make audit` asks for known faults; see [security](security.md#supply-chain).

`edge` runs on gateways, `cloud` in the city's server room, `demo` on a laptop, `dev` here.
"""
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)(?: ; (.+?))? \\$")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class WrongReasons(Exception):
    """why.toml isn't about the direct dependencies, all of them and no others."""


class Pin(NamedTuple):
    """One package of a locked set; `via` are those that need it."""

    name: str
    version: str
    via: tuple[str, ...]


def plain(name: str) -> str:
    """A name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(pyproject: str) -> set[str]:
    """What pyproject.toml asks for, all extras and groups together."""
    table = tomllib.loads(pyproject)
    project = table["project"]
    asked = [*project["dependencies"], *table["build-system"]["requires"]]
    for group in (project["optional-dependencies"], table.get("dependency-groups", {})):
        asked += [one for wanted in group.values() for one in wanted]
    names = {plain(found[0]) for one in asked if (found := _NAME.match(one))}
    return names - {plain(project["name"])}


def pins(locked: str) -> list[Pin]:
    """The packages of one requirements file."""
    found: list[Pin] = []
    name = version = ""
    via: list[str] = []
    for line in [*locked.splitlines(), "end==0 \\"]:
        if pin := _PIN.match(line):
            if name:
                found.append(Pin(name, version, tuple(via)))
            name, version, via = plain(pin[1]), pin[2], []
        elif line.startswith("    #"):
            word = line.removeprefix("    #").strip().removeprefix("via").strip()
            if word and not word.startswith(("-c ", "gampong")):
                via.append(plain(word))
    return found


def page(pyproject: str, locked: dict[str, str], why: dict[str, str]) -> str:
    """The page's text.

    Raises:
        WrongReasons: names what is missing and what is too many.
    """
    asked = direct(pyproject)
    missing, surplus = sorted(asked - why.keys()), sorted(why.keys() - asked)
    if missing or surplus:
        raise WrongReasons(f"deploy/supply/why.toml: missing {missing}, surplus {surplus}")
    versions: dict[str, list[str]] = {}
    sets: dict[str, list[str]] = {}
    via: dict[str, set[str]] = {}
    for name in SETS:
        for pin in pins(locked[name]):
            known = versions.setdefault(pin.name, [])
            known += [pin.version] if pin.version not in known else []
            sets.setdefault(pin.name, [])
            sets[pin.name] += [name] if name not in sets[pin.name] else []
            via.setdefault(pin.name, set()).update(pin.via)
    lines = [
        HEAD,
        "## What we ask for",
        "",
        "| package | version | in | why |",
        "|---|---|---|---|",
    ]
    for name in sorted(asked):
        version = ", ".join(versions.get(name, ["not locked"]))
        lines.append(f"| {name} | {version} | {_first(sets.get(name, []))} | {why[name]} |")
    lines += ["", "## What these bring", ""]
    lines += ["| package | version | in | needed by |", "|---|---|---|---|"]
    for name in sorted(versions.keys() - asked):
        needed = ", ".join(sorted(via[name]))
        lines.append(f"| {name} | {', '.join(versions[name])} | {_first(sets[name])} | {needed} |")
    return "\n".join([*lines, ""])


def _first(sets: list[str]) -> str:
    """dev has everything, and demo nearly: they are named where nothing smaller has it."""
    small = [name for name in sets if name in ("edge", "cloud")]
    return ", ".join(small or sets[:1])


def made() -> str:
    """The page from this tree's files."""
    locked = {name: (ROOT / "requirements" / f"{name}.txt").read_text("utf-8") for name in SETS}
    why = tomllib.loads(Path(__file__).with_name("why.toml").read_text("utf-8"))["why"]
    return page((ROOT / "pyproject.toml").read_text("utf-8"), locked, why)


def main() -> int:
    parser = argparse.ArgumentParser(description="the page of dependencies")
    parser.add_argument("--check", action="store_true", help="only say whether it is true")
    given = parser.parse_args()
    try:
        text = made()
    except WrongReasons as error:
        print(error, file=sys.stderr)
        return 1
    if not given.check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        print("docs/dependencies.md isn't true: python deploy/supply/dependencies.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
