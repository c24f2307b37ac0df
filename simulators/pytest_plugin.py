"""A city in a test: the fixture `gampong_city`, for any software that reads sensors.

    # conftest.py
    pytest_plugins = ["simulators.pytest_plugin"]

    def test_my_gateway_reads_the_bin(gampong_city):
        city = gampong_city("dfrobot_a02yyuw")
        assert my_gateway(city.port("bin-01")) == …

Call it with devices as on the command line (`driver` or `driver:count`) and with what
`simulators.running.RunningCity` takes; every city it gave ends with the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # a test run that asks for no city pays for none
    from simulators.running import RunningCity


@pytest.fixture
def gampong_city() -> Iterator[Callable[..., RunningCity]]:
    """Starts cities: `city = gampong_city("dfrobot_sen0591:3", seed=7, speed=60)`."""
    with ExitStack() as stack:

        def start(*devices: str, **how: Any) -> RunningCity:
            from simulators.running import RunningCity

            return stack.enter_context(RunningCity(*devices, **how))

        yield start
