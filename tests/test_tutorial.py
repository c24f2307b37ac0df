"""The developer's page adds a sensor in ten minutes: followed here to the letter, in a copy of the
tree, so that the page can't rot."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "developer.md").read_text(encoding="utf-8")
STEP = re.compile(r"<!-- (file|run|prints)(?:: (\S+))? -->\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """What a driver's author has before them: the devices and their tests."""
    shutil.copytree(ROOT / "devices", tmp_path / "devices")
    (tmp_path / "tests").mkdir()
    shutil.copytree(ROOT / "tests" / "devices", tmp_path / "tests" / "devices")
    return tmp_path


def follow(line: str, workshop: Path) -> str:
    """What a shown command prints, run in the workshop; it must succeed."""
    words = shlex.split(line)
    if words[:2] == ["make", "test"]:
        arguments = shlex.split(words[2].removeprefix("ARGS="))
        command = [*("-m", "pytest", "-q", "--import-mode=importlib"), *arguments]
    else:
        assert words[0] == "gampong", line
        command = ["-m", "gampong", *words[1:]]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(workshop), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, *command], cwd=workshop, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_whoever_follows_the_page_has_a_driver_that_is_tested_decodes_and_speaks(
    workshop: Path,
) -> None:
    steps = STEP.findall(PAGE)
    assert [what for what, _, _ in steps] == ["file", "file", "run", "run", "prints"]
    printed: list[str] = []
    for what, name, text in steps:
        if what == "file":
            (workshop / name).write_text(text, encoding="utf-8")
        elif what == "run":
            printed += [follow(line, workshop) for line in text.splitlines()]
        else:
            assert printed[-1] == text
    vectors = (workshop / "devices" / "acme_tl1.vectors.toml").read_text().count("[[vector]]")
    assert int(re.findall(r"(\d+) passed", printed[0])[0]) > vectors
    speaks = (
        "from simulators.city_file import Wanted, city_of\n"
        "from simulators.voices import Voice\n"
        "from simulators.world import World\n"
        "city = city_of([Wanted('acme_tl1')])\n"
        "one = city.devices[0]\n"
        "said = Voice(1, one, World(city, 1795136400000).sight(one.name)).says(1795136400000)\n"
        "print(sorted(said.fields))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(workshop), str(ROOT)))}
    done = subprocess.run(
        [sys.executable, "-c", speaks],
        cwd=workshop,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "['battery_level', 'distance_mm']", done.stderr
