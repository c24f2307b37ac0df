"""A Python file as the rules see it: its path from the root, its text, its tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("devices", "wire", "edge", "ingest", "dashboards", "simulators", "gampong")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def room(self) -> str:
        return PurePosixPath(self.path).parts[0]

    @property
    def filename(self) -> str:
        return PurePosixPath(self.path).name

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Every imported name in full, with its line: `from a.b import c` is `a.b.c`."""
        return [
            (node.lineno, name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import | ast.ImportFrom | ast.Call)
            for name in self._names(node)
        ]

    def _names(self, node: ast.Import | ast.ImportFrom | ast.Call) -> Iterator[str]:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                yield from (f"{self._module(node)}.{alias.name}" for alias in node.names)
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if _is_import_module(node):
                yield name

    def _module(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = PurePosixPath(self.path).parts[: -node.level]
        return ".".join([*package, *([node.module] if node.module else [])])

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for: after `import time as t`, `t` is `time`."""
        known = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.split(".")[0]
                    known[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    known[alias.asname or alias.name] = f"{self._module(node)}.{alias.name}"
        return known

    def full_name(self, node: ast.expr) -> str:
        """A dotted expression with its imports resolved, or an empty string."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            owner = self.full_name(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return ""


def _is_import_module(node: ast.Call) -> bool:
    return ast.unparse(node.func) in ("importlib.import_module", "import_module", "__import__")


def rooms() -> list[Source]:
    return [source for room in ROOMS for source in read(room)]


def read(folder: str) -> list[Source]:
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
