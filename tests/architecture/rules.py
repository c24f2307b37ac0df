"""One function a law. Each takes a source and yields a sentence for each place that breaks it."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Callable, Iterator, Mapping

from tests.architecture.source import ROOMS, Function, Source

Rule = Callable[[Source], Iterator[str]]

UPSTREAM = {
    "devices": (),
    "wire": ("devices",),
    "edge": ("devices", "wire"),
    "ingest": ("devices", "wire"),
    "dashboards": ("devices", "wire", "ingest.alerts", "ingest.rules", "ingest.stores"),
    "simulators": ("devices", "wire"),
    "gampong": ROOMS,
}

FUNCTION_LINES = 60
FILE_LINES = 300
PUBLIC_METHODS = 12
TRACKED_BYTES = 1_000_000

PURE_ROOMS = ("devices", "wire", "ingest/rules", "dashboards/analysis")
PURE_FILES = (
    "edge/intake.py",
    "edge/meaning.py",
    "edge/meaning_bay.py",
    "edge/meaning_level.py",
    "edge/meaning_quality.py",
    "edge/meaning_state.py",
    "edge/mounting.py",
    "ingest/guard.py",
)
IO_MODULES = (
    "socket",
    "ssl",
    "select",
    "asyncio",
    "sqlite3",
    "serial",
    "aiohttp",
    "mqttium",
    "paho",
    "aiomqtt",
    "influxdb_client",
    "http",
    "urllib.request",
    "subprocess",
    "threading",
    "multiprocessing",
)
IMPURE_NAMES = (
    "os.system",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.sleep",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
)
FILE_CALLS = ("open", "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "glob")

# The only impure things in pure files, each with its reason.
PURE_EXCEPTIONS: dict[str, tuple[str, ...]] = {
    # is the clock: everybody else gets it as an argument
    "wire/clock.py": ("asyncio", "time.time", "time.monotonic", "async def"),
    # finds the driver files, which are part of the package
    "devices/driver.py": ("iterdir",),
    # reads the vectors beside the drivers, which are part of the package
    "devices/vectors.py": ("read_text",),
    # loads the dictionaries, which are part of the package; a zstd context is one thread's
    "wire/batch.py": ("read_bytes", "threading"),
    # the one connection that both ends share: neither may import the other
    "wire/mqtt_link.py": ("asyncio", "socket", "ssl", "async def"),
    # parts that run side by side until one is lost, on either side of the wire
    "wire/together.py": ("asyncio", "async def"),
    # the one rule for files with secrets, for all rooms
    "wire/small_file.py": ("open",),
    # a developer's command that writes a new dictionary into the package
    "wire/train.py": ("write_bytes",),
}

BROAD = ("Exception", "BaseException")
TEST_EVASIONS = (
    "time.sleep",
    "pytest.skip",
    "pytest.importorskip",
    "pytest.xfail",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
    "unittest.skip",
    "unittest.skipIf",
)
PATTERN_SUFFIXES = ("Manager", "Helper", "Base")
DRAWER_MODULES = ("utils.py", "helpers.py", "common.py")


def imports_point_upstream(source: Source) -> Iterator[str]:
    allowed = (source.room, *UPSTREAM[source.room])
    for line, name in source.imports:
        ours = name.split(".")[0] in (*ROOMS, "tests", "bench")
        if ours and not _within(name, allowed):
            yield f"{source.path}:{line}: {source.room} may not import {name}"


def sizes_stay_readable(source: Source) -> Iterator[str]:
    lines = _code_lines(source)
    if lines > FILE_LINES:
        yield f"{source.path}: {lines} lines of code, ceiling {FILE_LINES}"
    for node in ast.walk(source.tree):
        if isinstance(node, Function):
            lines = _lines(node) - _docstring_lines(node)
            if lines > FUNCTION_LINES:
                yield f"{source.path}:{node.lineno}: {node.name}: {lines} lines"
        elif isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, Function)]
            public = sum(not method.name.startswith("_") for method in methods)
            if public > PUBLIC_METHODS:
                yield f"{source.path}:{node.lineno}: {node.name}: {public} public methods"


def pure_files_do_no_io(source: Source) -> Iterator[str]:
    pure_room = any(source.path.startswith(f"{room}/") for room in PURE_ROOMS)
    if not pure_room and source.path not in PURE_FILES:
        return
    for line, name in sorted(set(_impurities(source))):
        if name not in PURE_EXCEPTIONS.get(source.path, ()):
            yield f"{source.path}:{line}: {name} in a pure file"


def broad_excepts_only_in_main(source: Source) -> Iterator[str]:
    for node, function in _with_function(source.tree):
        if function == "main" and _holds_main(source):
            continue
        if isinstance(node, ast.ExceptHandler | ast.Call) and _is_broad(node):
            yield f"{source.path}:{node.lineno}: broad except outside of a process's main"


def tasks_live_in_groups(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = source.full_name(node.func)
        called = ast.unparse(node.func)
        on_loop = called.endswith(".create_task") and "loop" in called.lower()
        if name == "asyncio.create_task" or called.endswith("ensure_future") or on_loop:
            yield f"{source.path}:{node.lineno}: {called}: a TaskGroup's task, or none"


def tests_evade_nothing(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = source.full_name(node)
            if name in TEST_EVASIONS:
                yield f"{source.path}:{node.lineno}: {name}"


def names_are_the_fields_terms(source: Source) -> Iterator[str]:
    if source.filename in DRAWER_MODULES:
        yield f"{source.path}: a module named for nothing in particular"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and node.name.endswith(PATTERN_SUFFIXES):
            yield f"{source.path}:{node.lineno}: class {node.name} is named for a pattern"


def drivers_have_vectors(files: Mapping[str, str]) -> Iterator[str]:
    """`files` is the text of everything in `devices/`, by file name."""
    with_vectors = {
        name.removesuffix(".vectors.toml") for name in files if name.endswith(".vectors.toml")
    }
    for model in sorted(with_vectors):
        text = files.get(f"{model}.py")
        if text is None:
            yield f"devices/{model}.vectors.toml has no {model}.py"
        elif not ast.get_docstring(ast.parse(text)) or not _defines_driver(text):
            yield f"devices/{model}.py lacks its docstring or its DRIVER"
    for name, text in sorted(files.items()):
        model = name.removesuffix(".py")
        if name.endswith(".py") and model not in with_vectors and _defines_driver(text):
            yield f"devices/{name} has no {model}.vectors.toml"


def tracked_files_are_small(sizes: Mapping[str, int]) -> Iterator[str]:
    for path, size in sorted(sizes.items()):
        if size > TRACKED_BYTES:
            yield f"{path}: {size} bytes, ceiling {TRACKED_BYTES}"


def _within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring_lines(node: ast.Module | Function) -> int:
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str())) as docstring, *_]:
            return _lines(docstring)
    return 0


def _code_lines(source: Source) -> int:
    """Lines that hold code: neither blank, nor a comment, nor the module's docstring."""
    layout = (
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
    )
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in layout:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines) - _docstring_lines(source.tree)


def _impurities(source: Source) -> Iterator[tuple[int, str]]:
    for line, name in source.imports:
        yield from ((line, module) for module in IO_MODULES if _within(name, (module,)))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef):
            yield node.lineno, "async def"
        elif isinstance(node, ast.Name | ast.Attribute):
            name = source.full_name(node)
            if name in IMPURE_NAMES:
                yield node.lineno, name
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).split(".")[-1]
            if called in FILE_CALLS:
                yield node.lineno, called


def _with_function(tree: ast.AST, function: str = "") -> Iterator[tuple[ast.AST, str]]:
    """Every node with the name of the function it stands in."""
    for child in ast.iter_child_nodes(tree):
        yield child, function
        inner = child.name if isinstance(child, Function) else function
        yield from _with_function(child, inner)


def _is_broad(node: ast.ExceptHandler | ast.Call) -> bool:
    match node:
        case ast.ExceptHandler(type=None):
            return True
        case ast.ExceptHandler(type=ast.expr() as caught):
            return any(isinstance(item, ast.Name) and item.id in BROAD for item in ast.walk(caught))
        case ast.Call(func=function, args=args) if ast.unparse(function).endswith("suppress"):
            return any(ast.unparse(item) in BROAD for item in args)
    return False


def _holds_main(source: Source) -> bool:
    return source.filename in ("__main__.py", "main.py") or source.path == "gampong/cli.py"


def _defines_driver(text: str) -> bool:
    for node in ast.parse(text).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="DRIVER")]):
                return True
            case ast.AnnAssign(target=ast.Name(id="DRIVER")):
                return True
    return False
