"""The straight line stays straight: every law holds for the tree, and every law can be broken."""

from __future__ import annotations

import subprocess

import pytest

from tests.architecture import rules
from tests.architecture.source import ROOT, Source, read, rooms

LAWS = [
    rules.imports_point_upstream,
    rules.sizes_stay_readable,
    rules.pure_files_do_no_io,
    rules.broad_excepts_only_in_main,
    rules.tasks_live_in_groups,
    rules.names_are_the_fields_terms,
]
LAWS_OF_TESTS = [rules.tests_evade_nothing, rules.names_are_the_fields_terms]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_room_keeps_the_law(law):
    assert [broken for source in rooms() for broken in law(source)] == []


@pytest.mark.parametrize("law", LAWS_OF_TESTS, ids=lambda law: law.__name__)
def test_every_test_keeps_the_law(law):
    assert [broken for source in read("tests") for broken in law(source)] == []


def test_every_driver_has_its_vectors_and_the_other_way_round():
    files = [*(ROOT / "devices").glob("*.py"), *(ROOT / "devices").glob("*.vectors.toml")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert list(rules.drivers_have_vectors(texts)) == []


def test_no_tracked_file_is_large():
    # What a commit would hold. safe.directory: the tree may belong to another user (a container).
    command = "git -c safe.directory=* ls-files -z --cached --others --exclude-standard"
    listed = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in paths if path.is_file()}
    assert sizes
    assert list(rules.tracked_files_are_small(sizes)) == []


# Each law sees a violation, and lets the lawful neighbour through.


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("devices/a.py", "import wire"),
        ("wire/a.py", "from edge.outbox import Outbox"),
        ("edge/links/a.py", "def f():\n    import ingest"),
        ("ingest/a.py", "from simulators import city"),
        ("dashboards/a.py", "from ingest import guard"),
        ("dashboards/a.py", "import ingest"),
        ("edge/a.py", "from tests import servers"),
        ("edge/links/a.py", "from ...ingest import guard"),
        ("edge/a.py", "import importlib\nimportlib.import_module('ingest.guard')"),
    ],
)
def test_an_import_that_points_downstream_is_seen(path, text):
    assert list(rules.imports_point_upstream(Source(path, text)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("dashboards/a.py", "from ingest.stores.query import Query\nfrom ingest import stores"),
        ("edge/links/a.py", "from ..outbox import Outbox\nfrom devices import kinds"),
        ("gampong/demo.py", "import simulators.city, ingest, edge.agent"),
        ("devices/a.py", "import wireless"),
    ],
)
def test_an_import_that_points_upstream_passes(path, text):
    assert list(rules.imports_point_upstream(Source(path, text))) == []


def _function(lines: int) -> str:
    return 'def f():\n    """Two\n    lines."""\n' + "    x = 1\n" * (lines - 1)


def _methods(count: int) -> str:
    return "class A:\n" + "".join(f"    def m{i}(self): ...\n" for i in range(count))


def test_sizes_are_counted_without_docstrings_comments_and_blank_lines():
    module = '"""Doc.\n\nString."""\n\n# comment\n' + "x = 1\n\n" * 300
    fits = [module, _function(60), _methods(12) + "    def _own(self): ...\n"]
    for text in fits:
        assert list(rules.sizes_stay_readable(Source("edge/a.py", text))) == []
    for text in [module + "y = 2\n", _function(61), _methods(13)]:
        assert len(list(rules.sizes_stay_readable(Source("edge/a.py", text)))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import socket",
        "from urllib import request",
        "import http.client",
        "import os\nos.system('x')",
        "open('x')",
        "import time as t\nt.time()",
        "from time import time\ndef f(now=time): ...",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.now()",
        "from pathlib import Path\nPath('x').read_bytes()",
        "async def f(): ...",
    ],
)
def test_io_in_a_pure_file_is_seen(text):
    for path in ("devices/a.py", "wire/a.py", "edge/meaning.py", "ingest/guard.py"):
        assert list(rules.pure_files_do_no_io(Source(path, text)))
    assert list(rules.pure_files_do_no_io(Source("edge/uplink.py", text))) == []


def test_an_exception_to_purity_covers_only_what_it_names():
    clock = "import time\nasync def sleep(s): ...\ntime.time()\n"
    assert list(rules.pure_files_do_no_io(Source("wire/clock.py", clock))) == []
    assert list(rules.pure_files_do_no_io(Source("wire/clock.py", clock + "import socket")))


@pytest.mark.parametrize(
    "text",
    [
        "try: pass\nexcept: pass",
        "try: pass\nexcept Exception: pass",
        "try: pass\nexcept* (ValueError, Exception): pass",
        "def run():\n    try: pass\n    except BaseException as e: pass",
        "import contextlib\nwith contextlib.suppress(Exception): pass",
    ],
)
def test_a_broad_except_is_seen(text):
    for path in ("edge/agent.py", "edge/__main__.py", "gampong/cli.py"):
        assert list(rules.broad_excepts_only_in_main(Source(path, text)))


def test_a_broad_except_passes_in_main_alone():
    text = "def main():\n    try: pass\n    except Exception: pass"
    for path in ("edge/__main__.py", "gampong/cli.py", "ingest/main.py"):
        assert list(rules.broad_excepts_only_in_main(Source(path, text))) == []
    assert list(rules.broad_excepts_only_in_main(Source("edge/agent.py", text)))


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasyncio.create_task(f())",
        "from asyncio import create_task\ncreate_task(f())",
        "import asyncio\nasyncio.ensure_future(f())",
        "import asyncio\nasyncio.get_running_loop().create_task(f())",
        "loop.create_task(f())",
    ],
)
def test_a_task_outside_of_a_group_is_seen(text):
    assert list(rules.tasks_live_in_groups(Source("edge/a.py", text)))
    assert list(rules.tasks_live_in_groups(Source("edge/a.py", "group.create_task(f())"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "import time\ntime.sleep(1)",
        "from time import sleep\nsleep(1)",
        "import pytest\npytest.skip('no broker')",
        "import pytest\nnumpy = pytest.importorskip('numpy')",
        "import pytest\n@pytest.mark.xfail\ndef test_x(): ...",
        "import pytest\n@pytest.mark.skipif(True, reason='x')\ndef test_x(): ...",
    ],
)
def test_a_test_that_sleeps_or_skips_is_seen(text):
    assert list(rules.tests_evade_nothing(Source("tests/test_a.py", text)))


def test_a_name_taken_from_a_pattern_is_seen():
    for name in ("LinkManager", "SerialHelper", "DriverBase"):
        assert list(rules.names_are_the_fields_terms(Source("edge/a.py", f"class {name}: ...")))
    for path in ("edge/utils.py", "wire/helpers.py", "ingest/stores/common.py"):
        assert list(rules.names_are_the_fields_terms(Source(path, "")))
    assert list(rules.names_are_the_fields_terms(Source("edge/a.py", "class Database: ..."))) == []


def test_a_driver_without_its_other_half_is_seen():
    driver = '"""Product."""\nDRIVER = Driver()'
    assert list(rules.drivers_have_vectors({"x.py": driver, "x.vectors.toml": ""})) == []
    assert list(rules.drivers_have_vectors({"x.vectors.toml": ""}))
    assert list(rules.drivers_have_vectors({"x.py": driver}))
    assert list(rules.drivers_have_vectors({"x.py": "DRIVER = 1", "x.vectors.toml": ""}))
    assert list(rules.drivers_have_vectors({"x.py": '"""Doc."""', "x.vectors.toml": ""}))


def test_a_large_file_is_seen():
    assert list(rules.tracked_files_are_small({"a.png": 1_000_001}))
    assert list(rules.tracked_files_are_small({"a.png": 1_000_000})) == []
