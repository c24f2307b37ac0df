"""What a service writes to its log: one line a record, `key=value`, and not the same one over and
over: nobody outside may fill a card or a journal.
"""

from __future__ import annotations

import logging
import re
import sys

REPEAT_S = 55.0
"""A little less than a minute, so that what is said each minute is said."""

LINES_MAX = 30
"""Of one sentence in that time, however much its words differ."""

_REPEATS_MAX = 256


class FewerRepeats(logging.Filter):
    """A line like one before, whatever its numbers, passes once a minute, with how many didn't; of
    lines that differ in a stranger's words, so many pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: dict[str, tuple[float, int]] = {}  # text → until, kept back
        self._sentences: dict[str, tuple[float, int]] = {}  # template → until, lines

    def filter(self, record: logging.LogRecord) -> bool:
        text, now = re.sub(r"\d+", "0", record.getMessage()), record.created
        sentence = str(record.msg)
        sentence_until, lines = self._sentences.pop(sentence, (0.0, 0))
        if now >= sentence_until:
            sentence_until, lines = now + REPEAT_S, 0
        until, kept_back = self._lines.pop(text, (0.0, 0))
        passes = now >= until and lines < LINES_MAX
        _put(self._sentences, sentence, (sentence_until, lines + passes))
        if not passes:
            _put(self._lines, text, (max(until, sentence_until), kept_back + 1))
            return False
        _put(self._lines, text, (now + REPEAT_S, 0))
        if kept_back:
            record.msg, record.args = f"{record.getMessage()} repeated={kept_back}", None
        return True


def begin_log() -> None:
    """From now on, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FewerRepeats())
    line = "time=%(asctime)s level=%(levelname)s room=%(name)s %(message)s"
    handler.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S%z"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _put(kept: dict[str, tuple[float, int]], key: str, value: tuple[float, int]) -> None:
    kept[key] = value
    if len(kept) > _REPEATS_MAX:
        del kept[next(iter(kept))]
