"""The work bench: what is typed wrongly is refused, and what is stopped leaves it free."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge.configuration_file import ConfigurationFile
from edge.onlooker import Inside, Seen
from edge.page.bench import Bench
from edge.page.desk import Desk, Refusing
from edge.uplink_snapshot import LastReadings
from wire.clock import SystemClock

GATEWAY = """[gateway]
name = "a-01"
site = "pasar"

[[link]]
type = "uart"
name = "u"
port = "{folder}/nothing-plugged-in"

[[device]]
name = "bin-01"
driver = "dfrobot_a02yyuw"
link = "u"
"""


async def _seen() -> Seen:
    raise AssertionError("nobody looks")


def bench_of(folder: Path) -> tuple[Bench, Desk]:
    """A bench over a gateway whose ranger isn't plugged in."""
    path = folder / "gateway.toml"
    path.write_text(GATEWAY.format(folder=folder))
    clock, last = SystemClock(), LastReadings()
    file = ConfigurationFile(path, clock, "boot")
    configuration = file.begin()
    desk = Desk(file, clock)
    desk.begin(
        Inside(configuration, _seen, {}, last, lambda _: None, lambda: True, lambda _: None, clock)
    )
    return Bench(desk), desk


@pytest.mark.parametrize("height", ["1.200", "1,2", "0,8", "12", "nan", "-800", "1200 mm"])
def test_a_height_that_cannot_be_a_bins_in_millimetres_is_not_understood(tmp_path, height):
    """1.200 is how Indonesia writes 1200: read as 1.2, it made a bin of one millimetre."""
    bench, _ = bench_of(tmp_path)
    with pytest.raises(Refusing) as refused:
        bench.calibrate("bin-01", "empty", height, anyway=False)
    assert refused.value.key == "calibrate.bad_height"


def test_work_that_is_stopped_before_it_began_leaves_the_bench_free(tmp_path):
    bench, desk = bench_of(tmp_path)

    async def scenario() -> None:
        async with asyncio.TaskGroup() as group:
            bench.begin(group)
            bench.calibrate("bin-01", "empty", "800", anyway=False)
            bench.stop()
        assert bench.work
        assert (bench.work.running, bench.work.problem) == (False, "stopped")
        async with asyncio.TaskGroup() as group:
            bench.begin(group)
            bench.calibrate("bin-01", "empty", "800", anyway=False)  # not refused as busy
            bench.stop()
        bench.begin_anew()

    asyncio.run(scenario())
    assert desk.file.again.is_set()
