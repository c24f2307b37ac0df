"""How warm the gateway is: its kernel's zones, the warmest, and none where nothing is told."""

from __future__ import annotations

from pathlib import Path

from edge.heat import temperature_c


def zone(root: Path, number: int, text: str) -> None:
    folder = root / f"sys/class/thermal/thermal_zone{number}"
    folder.mkdir(parents=True)
    (folder / "temp").write_text(text)


def test_the_warmest_zone_is_told_in_whole_degrees(tmp_path: Path) -> None:
    zone(tmp_path, 0, "48312\n")
    zone(tmp_path, 1, "61590\n")
    assert temperature_c(tmp_path) == 62.0


def test_a_machine_without_zones_or_with_nonsense_in_them_tells_nothing(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    zone(tmp_path, 0, "")
    zone(tmp_path, 1, "-274000")
    zone(tmp_path, 2, "n/a")
    (tmp_path / "sys/class/thermal/thermal_zone3").mkdir()
    assert temperature_c(tmp_path) is None
