"""What is installed is listed and explained, releases can be verified as the documents say."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUPPLY = ROOT / "deploy" / "supply"

_spec = importlib.util.spec_from_file_location("dependencies", SUPPLY / "dependencies.py")
assert _spec and _spec.loader
dependencies = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(dependencies)

PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
[project]
name = "gampong"
dependencies = ["msgspec>=0.19"]
[project.optional-dependencies]
edge = ["Typing_Extensions==4"]
dev = ["gampong[edge]"]
"""
LOCKED = """msgspec==0.22.0 \\
    --hash=sha256:00
    # via gampong (pyproject.toml)
setuptools==84.2.1 \\
    --hash=sha256:00
typing-extensions==4.16.0 ; python_version < '3.13' \\
    --hash=sha256:00
    # via
    #   -c requirements/dev.txt
    #   gampong (pyproject.toml)
    #   msgspec
"""
MAKING = """
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out release.key
openssl pkey -in release.key -pubout -out release.pub
"""
WHY = {"msgspec": "messages", "setuptools": "builds", "typing-extensions": "types"}


def test_the_page_of_dependencies_is_what_is_locked_and_every_one_has_its_reason():
    assert dependencies.made() == (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")


def test_a_dependency_without_a_reason_is_refused_and_so_is_a_reason_too_many():
    locked = dict.fromkeys(dependencies.SETS, LOCKED)
    text = dependencies.page(PYPROJECT, locked, WHY)
    assert "| msgspec | 0.22.0 | edge, cloud | messages |" in text
    assert "| typing-extensions | 4.16.0 | edge, cloud | types |" in text
    for wrong in ({**WHY, "left-pad": "?"}, {"msgspec": "messages"}):
        with pytest.raises(dependencies.WrongReasons):
            dependencies.page(PYPROJECT, locked, wrong)


def test_what_others_bring_is_listed_with_who_needs_it():
    locked = dict.fromkeys(dependencies.SETS, LOCKED + "yarl==1.0 \\\n    # via aiohttp\n")
    assert "| yarl | 1.0 | edge, cloud | aiohttp |" in dependencies.page(PYPROJECT, locked, WHY)


@pytest.mark.parametrize("name", dependencies.SETS)
def test_every_locked_package_is_pinned_with_its_hashes(name):
    locked = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    packages = re.split(r"\n(?=[a-zA-Z0-9])", locked)
    assert len(packages) == len(dependencies.pins(locked)) > 5
    assert all("--hash=sha256:" in package for package in packages)


def test_an_audit_without_its_data_says_so_and_where_the_list_is():
    words = {"PATH": "/usr/bin:/bin", "AUDIT_DATA": "http://127.0.0.1:9/none"}
    ran = subprocess.run(
        [str(SUPPLY / "audit.sh")],
        env=words,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0
    assert "docs/dependencies.md" in ran.stdout


def test_a_release_is_signed_and_verified_as_the_page_says_and_a_changed_one_is_not(tmp_path):
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    (signing,) = re.findall(r"<!-- signing -->\n```sh\n(.*?)```", page, re.DOTALL)
    (verifying,) = re.findall(r"<!-- verifying -->\n```sh\n(.*?)```", page, re.DOTALL)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert version
    release = tmp_path / "dist"
    release.mkdir()
    run(MAKING, release)
    for name in ("gampong-VERSION.tar.gz", "sbom-edge.json", "sbom-cloud.json"):
        (release / name).write_text(name)
    run(signing, release)
    run(verifying, release)
    (release / "sbom-edge.json").write_text("another")
    with pytest.raises(subprocess.CalledProcessError):
        run(verifying, release)


def run(commands: str, folder: Path) -> None:
    """As typed, in the release's folder; the first that fails ends it."""
    subprocess.run(["bash", "-euc", commands], cwd=folder, check=True, capture_output=True)
