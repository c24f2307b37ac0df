"""The provisioning folder on disk: written, and compared with what would be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dashboards.grafana.build import RULES_FILE, Built, files, retired_rules
from dashboards.grafana.picture import picture

DASHBOARDS = "dashboards/*.json"


def write(whole: Built, folder: Path) -> Iterator[str]:
    """Write what differs, remove dashboards that are no longer defined; what was done, in words.

    A file is put in place whole: Grafana reads the folder while we write.
    """
    wanted = _wanted(whole, folder)
    for name, text in wanted.items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, text)
        yield f"wrote {path}"
    for path in folder.glob(DASHBOARDS):
        if f"dashboards/{path.name}" not in wanted:
            path.unlink()
            yield f"removed {path}"


def draw(whole: Built, folder: Path) -> Iterator[str]:
    """A picture of each dashboard's layout, `grafana-city.svg`; what was done, in words."""
    for uid, dashboard in whole.dashboards.items():
        path = folder / f"grafana-{uid.removeprefix('gampong-')}.svg"
        _put(path, picture(dashboard))
        yield f"drew {path}"


def _put(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def differing(whole: Built, folder: Path) -> list[str]:
    """The files that `write` would change, by name."""
    wanted = _wanted(whole, folder)
    changed = [
        name
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    stale = [f"dashboards/{path.name}" for path in folder.glob(DASHBOARDS)]
    return changed + [name for name in stale if name not in wanted]


def _wanted(whole: Built, folder: Path) -> dict[str, str]:
    """The files, with the rules that an earlier build left there named for removal."""
    rules = folder / RULES_FILE
    earlier = rules.read_text(encoding="utf-8") if rules.is_file() else ""
    return files(whole, retired_rules(earlier))
