"""The city's own day: WIB, UTC+7, no daylight saving; and the hours that shape it.

Days are counted from 1970-01-01 in local time, minutes from local midnight. Prayer times are those
of Banda Aceh, the middle of their yearly range (city_patterns.md §6, prayer [C]).
"""

from __future__ import annotations

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
DAY_MINUTES = 1_440
UTC_OFFSET_MS = 7 * HOUR_MS  # WIB (§6)

FRIDAY, SATURDAY, SUNDAY = 4, 5, 6
FRIDAY_PRAYER_H = (12.0, 14.0)  # pause 12:00–14:00 (§6 [M])
MAGHRIB_H = 18.65  # 18:21–18:58, shops shut (§6, trib17)


def day_of(time_ms: int) -> int:
    """The local day that holds this moment."""
    return (time_ms + UTC_OFFSET_MS) // DAY_MS


def day_start(day: int) -> int:
    """Local midnight at which the day begins, Unix milliseconds."""
    return day * DAY_MS - UTC_OFFSET_MS


def hour_of(time_ms: int) -> float:
    """Local hours since midnight, 0 to 24."""
    return ((time_ms + UTC_OFFSET_MS) % DAY_MS) / HOUR_MS


def weekday(day: int) -> int:
    """0 Monday to 6 Sunday; 1970-01-01 was a Thursday."""
    return (day + 3) % 7
