"""A bin's time to full is what its last hours say, whatever a few of them say."""

from __future__ import annotations

import pytest

from ingest.rules.forecast import HOUR_MS, HOURS_MAX, forecast

NOW = 1_793_581_200_000 // HOUR_MS * HOUR_MS


def hours(*levels: float) -> list[tuple[int, float]]:
    """Hourly means up to the hour before now."""
    return [(NOW - (len(levels) - i) * HOUR_MS, level) for i, level in enumerate(levels)]


def test_a_steady_bin_is_full_when_the_line_says() -> None:
    said = forecast(hours(0.10, 0.15, 0.20, 0.25, 0.30), NOW)
    assert said is not None
    assert said.rate_per_h == pytest.approx(0.05)
    assert said.hours_to_full == pytest.approx((0.85 - 0.325) / 0.05)  # half an hour after 0.30


def test_wild_hours_do_not_turn_the_line() -> None:
    said = forecast(hours(0.10, 0.15, 0.60, 0.25, 0.30, 0.35, 0.40, 0.45), NOW)
    assert said is not None
    assert said.rate_per_h == pytest.approx(0.05, abs=0.005)


def test_what_was_before_the_collection_says_nothing() -> None:
    said = forecast(hours(0.70, 0.80, 0.90, 0.40, 0.05, 0.06, 0.07, 0.08, 0.09), NOW)
    assert said is not None
    assert said.rate_per_h == pytest.approx(0.01)


def test_a_bin_just_emptied_is_not_full_before_long() -> None:
    said = forecast(hours(0.70, 0.80, 0.90, 0.40, 0.05), NOW)
    assert said is not None
    assert said.hours_to_full == HOURS_MAX


@pytest.mark.parametrize("levels", [(), (0.2,), (0.2, 0.3, 0.4), (0.86, 0.87, 0.88, 0.89, 0.9)])
def test_too_little_is_known_or_it_is_full_already(levels: tuple[float, ...]) -> None:
    assert forecast(hours(*levels), NOW) is None


def test_old_hours_say_nothing() -> None:
    assert forecast(hours(0.1, 0.2, 0.3, 0.4, 0.5), NOW + 5 * HOUR_MS) is None


def test_a_bin_that_stands_still_is_never_full() -> None:
    said = forecast(hours(0.5, 0.5, 0.5, 0.5, 0.5), NOW)
    assert said is not None
    assert said.hours_to_full == HOURS_MAX
