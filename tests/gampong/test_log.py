"""What a service's log holds when somebody outside would like to fill it."""

from __future__ import annotations

import logging

from gampong.log import LINES_MAX, REPEAT_S, FewerRepeats


def said(records: list[tuple[float, str, str]]) -> list[str]:
    """What passes of `(time, template, word)`."""
    fewer, passed = FewerRepeats(), []
    for created_s, template, word in records:
        record = logging.LogRecord("room", logging.WARNING, "", 0, template, (word,), None)
        record.created = created_s
        if fewer.filter(record):
            passed.append(record.getMessage())
    return passed


def test_the_same_line_again_is_counted_and_said_once_a_minute():
    flood = [(0.01 * each, "event=bad_message byte=%s", str(each)) for each in range(500)]
    later = [(REPEAT_S + 1, "event=bad_message byte=%s", "7")]
    assert said(flood + later) == [
        "event=bad_message byte=0",
        "event=bad_message byte=7 repeated=499",
    ]


def test_words_that_a_stranger_invents_anew_each_time_fill_no_journal():
    words = [f"{each:b}".replace("0", "o").replace("1", "l") for each in range(5_000)]
    flood = [(0.001 * each, "event=bad_message why=%r", word) for each, word in enumerate(words)]
    passed = said([*flood, (6.0, "event=store_away seconds=%s", "5")])
    assert len(passed) == LINES_MAX + 1
    assert passed[-1] == "event=store_away seconds=5"
    assert len(said([*flood, (REPEAT_S + 7, "event=bad_message why=%r", "new")])) == LINES_MAX + 1


def test_what_is_said_each_minute_is_said_each_minute():
    counters = [(60.0 * each - 0.5 * (each % 2), "event=counters %s", "x=1") for each in range(60)]
    assert len(said(counters)) == 60
