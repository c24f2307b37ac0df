"""When a certificate is due, and when a gateway says that its next one is late."""

from __future__ import annotations

import pytest

from edge.renewal import Papers

DAY_MS = 24 * 3600 * 1000
PAPERS = Papers("mahirah-01", 0, 300 * DAY_MS)


@pytest.mark.parametrize(
    ("day", "is_due", "alarms"),
    [
        (0, False, ()),
        (199, False, ()),
        (201, True, ()),
        (249, True, ()),
        (251, True, ("certificate_ending",)),
        (299, True, ("certificate_ending",)),
        (301, True, ("certificate_over",)),
    ],
)
def test_the_last_third_is_for_renewing_and_its_second_half_for_worrying(
    day: int, is_due: bool, alarms: tuple[str, ...]
) -> None:
    assert PAPERS.is_due(day * DAY_MS) is is_due
    assert PAPERS.alarms(day * DAY_MS) == alarms
