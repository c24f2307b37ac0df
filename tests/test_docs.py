"""Documents are true: every command, configuration key and driver stands in them, links lead
somewhere, and what is shown as a command parses."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dashboards.configuration import PageConfiguration
from dashboards.configuration import load as load_page
from dashboards.figures_configuration import FiguresConfiguration
from dashboards.opendata.configuration import OpenDataConfiguration
from dashboards.round_configuration import RoundConfiguration
from devices.driver import ObjectLink, TopicLink, driver_names, load_driver
from edge.configuration import EdgeConfiguration, load_configuration
from edge.drivers import driver_of
from gampong.cli import COMMANDS, parser
from ingest.configuration import IngestConfiguration
from ingest.stores.configuration import InfluxSettings
from ingest.trust.settings import TrustConfiguration
from wire.configuration import decode_toml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
EVERYTHING = "\n".join(TEXT.values())


def words(top: argparse.ArgumentParser) -> Iterator[str]:
    """Every command and word under it: `edge run`, `devices`."""
    actions = [one for one in top._actions if isinstance(one, argparse._SubParsersAction)]
    for name, sub in (item for action in actions for item in action.choices.items()):
        inner = list(words(sub))
        yield from (f"{name} {word}" for word in inner) if inner else [name]


def keys(type_: type, prefix: str = "") -> Iterator[str]:
    """Every key of a configuration tree, the last name only for nested tables."""
    for field in msgspec.structs.fields(type_):
        yield field.encode_name
        for inner in inner_structs(field.type):
            yield from keys(inner)


def inner_structs(type_: object) -> list[type]:
    found: list[type] = []
    arguments = getattr(type_, "__args__", ())
    for one in (type_, *arguments):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            found.append(one)
        elif one is not type_:
            found += inner_structs(one)
    return found


@pytest.mark.parametrize("command", sorted(set(words(parser([])))))
def test_every_command_is_in_the_documents(command: str) -> None:
    assert f"gampong {command}" in EVERYTHING


def test_the_page_of_supported_devices_is_what_the_drivers_say(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["devices", "--markdown"]
    arguments = parser(words).parse_args(words)
    assert arguments.run(arguments) == 0
    assert capsys.readouterr().out == TEXT["devices.md"]


@pytest.mark.parametrize("key", sorted(set(keys(EdgeConfiguration))))
def test_every_key_of_the_gateway_is_in_the_technicians_page(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT["technician.md"])


@pytest.mark.parametrize("key", sorted(set(keys(IngestConfiguration))))
def test_every_key_of_the_ingestor_is_in_the_operators_page(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT["operator.md"])


@pytest.mark.parametrize("key", sorted(set(keys(PageConfiguration))))
def test_every_key_of_the_page_is_in_the_operators_page(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT["operator.md"])


@pytest.mark.parametrize("key", sorted(set(keys(TrustConfiguration))))
def test_every_key_of_the_authority_is_in_the_operators_page(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT["operator.md"])


@pytest.mark.parametrize("key", sorted(set(keys(OpenDataConfiguration))))
def test_every_key_of_the_public_process_is_in_its_page(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT["opendata.md"] + TEXT["operator.md"])


@pytest.mark.parametrize("key", sorted({*keys(RoundConfiguration), *keys(FiguresConfiguration)}))
def test_every_key_of_the_round_and_the_figures_is_in_the_operators_page(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT["operator.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["security.md", "privacy.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    files = (ROOT / "tests").rglob("test_*.py")
    there = set(re.findall(r"def (test_\w+)", "".join(file.read_text() for file in files)))
    named = set(re.findall(r"`(test_\w+)`", TEXT[page]))
    assert named
    assert named <= there


def shown_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", EVERYTHING, re.DOTALL)
    inline = re.findall(r"`(gampong [^`<…]+)`", EVERYTHING)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    shown = [re.sub(r"^\S*bin/", "", line) for line in lines] + inline
    return sorted({line for line in shown if re.match(r"gampong [a-z]+ .*\S", line)})


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_that_is_shown_is_understood(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    if len(arguments) <= 2 and not any("." in word for word in arguments):
        assert arguments[0] in COMMANDS  # only named, not shown in use
        return
    assert parser(arguments).parse_args(arguments).command == arguments[0]


DECLARED = (ObjectLink, TopicLink)
"""Ways to reach a device that only a map of the configuration has."""


def toml_block(page: str, under: str = "") -> str:
    """The page's only one, or the first under a heading."""
    text = TEXT[page].partition(f"\n### {under}\n")[2] if under else TEXT[page]
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert under or len(blocks) == 1
    assert isinstance(blocks[0], str)
    return blocks[0]


def test_the_technicians_gateway_toml_is_a_good_one() -> None:
    configuration = load_configuration(toml_block("technician.md"), "gateway.toml")
    shown = {driver_of(configuration, one).link.__class__ for one in configuration.device}
    assert shown == {*(load_driver(name).link.__class__ for name in driver_names()), *DECLARED}


def test_the_operators_ingest_toml_is_a_good_one() -> None:
    text = TEXT["operator.md"].partition("\n## The cloud side\n")[2]
    block = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0]
    configuration = decode_toml(block, IngestConfiguration, "ingest.toml")
    assert isinstance(configuration.store, InfluxSettings)


def test_the_operators_page_toml_is_a_good_one() -> None:
    shown = toml_block("operator.md", under="`page.toml`")
    assert load_page(shown, "page.toml", accounts_only=True).accounts.https


def test_the_public_opendata_toml_is_a_good_one() -> None:
    configuration = decode_toml(toml_block("opendata.md"), OpenDataConfiguration, "opendata.toml")
    assert isinstance(configuration.store, InfluxSettings)
