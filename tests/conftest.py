"""Fixtures for every test: real servers, and one seed for all that is random."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.line.sensors import Ranger
from tests.servers import Influxd, Mosquitto

# deadline: two slow cores say nothing about the code. print_blob: a failure can be replayed as is.
hypothesis.settings.register_profile("gampong", deadline=None, print_blob=True)
hypothesis.settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2000)
hypothesis.settings.load_profile("gampong")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="replay a run: the seed printed in its header")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Before hypothesis reads its option, so that one number replays the whole run.
    if config.option.seed is None:
        config.option.seed = random.SystemRandom().randrange(2**32)
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    profile = config.option.hypothesis_profile or "gampong"
    return f"seed: {config.option.seed} (again: --seed {config.option.seed}), hypothesis: {profile}"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The run's seed, for whatever a test draws at random itself."""
    value: int = request.config.option.seed
    return value


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker shared by the session: don't kill it, use topics of your own.

    `broker` is a test's own, to kill; one with settings of its own is a `Mosquitto(tmp_path)`.
    """
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of the test's own, in `broker` of its folder: to kill, to restart, to retain in."""
    with Mosquitto(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def ranger(tmp_path: Path) -> Iterator[Ranger]:
    """A bin's sensor on a pty: ten times a second another distance."""
    with Ranger(tmp_path / "ttyBIN") as running:
        yield running


@pytest.fixture(scope="session")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    """A database shared by the session: don't kill it, use buckets or measurements of your own."""
    with Influxd(tmp_path_factory.mktemp("influxd")) as database:
        yield database
