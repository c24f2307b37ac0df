"""`gampong ingest replay`: judge dead letters again after a fix, and store what is good now.

Lines that are taken are marked as done in the file; the others stay, with their first reason.
Running it again, or beside an ingestor, is harmless: writing a line again changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from ingest.dead_letters import DeadLetters, Letter, LetterId
from ingest.guard import Limits, OwnerOf, open_payload, sort_out
from ingest.newcomers import Newcomers
from ingest.stores import Bucket, Kept, Store
from wire.batch import BadBatch, UnknownDictionary
from wire.clock import Clock

LINES_MAX = 5_000


class Replayed(msgspec.Struct, frozen=True):
    """What a replay did, in letters. `kept` is why it stopped early, "" when it didn't."""

    stored: int
    still_bad: dict[str, int]
    kept: str = ""


class _Good(msgspec.Struct, frozen=True):
    letter: LetterId
    lines: list[str]


async def replay(
    letters: DeadLetters,
    store: Store,
    clock: Clock,
    limits: Limits,
    owner_of: OwnerOf | None = None,
    newcomers: Newcomers | None = None,
) -> Replayed:
    """Write every waiting letter that is good now; of `too_many_new` ones as many as a day may
    bring, each time.

    Raises:
        OSError: the dead-letter file can't be read or rewritten.
    """
    bad: Counter[str] = Counter()
    good: list[_Good] = []
    for letter in letters.waiting():
        judged = _judge(letter, clock.now_ms(), limits, owner_of, newcomers)
        if isinstance(judged, str):
            bad[judged] += 1
        else:
            good.append(_Good(letter.id, judged))
    done: set[LetterId] = set()
    kept = ""
    for group in _groups(good):
        lines = [line for each in group for line in each.lines]
        answer = await store.write(Bucket.CITY, lines)
        if isinstance(answer, Kept):
            kept = f"{answer.reason} {answer.detail}".strip()
            break
        start = 0
        for each in group:
            places = range(start, start + len(each.lines))
            start = places.stop
            reason = next((answer.rejected[i] for i in places if i in answer.rejected), None)
            if reason is None:
                done.add(each.letter)
            else:
                bad[reason] += 1
    if done:
        letters.mark_done(done, clock.now_ms())
    return Replayed(len(done), dict(bad), kept)


def _judge(
    letter: Letter,
    now_ms: int,
    limits: Limits,
    owner_of: OwnerOf | None,
    newcomers: Newcomers | None,
) -> list[str] | str:
    """The lines to write, or why not. A whole batch is only taken when every line is good."""
    lines = [letter.line]
    if letter.payload:
        try:
            lines = open_payload(letter.payload, None)
        except BadBatch as bad:
            return bad.reason
        except UnknownDictionary:
            return "dictionary"
    sorted_out = sort_out(lines, letter.gateway, now_ms, limits, owner_of, newcomers)
    return sorted_out.rejected[0].reason if sorted_out.rejected else [*sorted_out.lines]


def _groups(good: Sequence[_Good]) -> Iterator[list[_Good]]:
    """As many at once as make `LINES_MAX` lines, at least one."""
    group: list[_Good] = []
    lines = 0
    for each in good:
        if group and lines + len(each.lines) > LINES_MAX:
            yield group
            group, lines = [], 0
        group.append(each)
        lines += len(each.lines)
    if group:
        yield group
