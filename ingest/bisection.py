"""Finding the lines a database chokes on, when its answer (a 5xx) doesn't say which.

A line is only given up when others prove that the database is well: between two failures of the
line and after the second, another line is written and taken. The first such line is the ingestor's
own (`proof`), so that a lone bad line can be told from an outage by an ingestor that has stored
nothing yet; a good neighbour takes its place as soon as one is found. Without a proof nothing is
given up: the whole is Kept, as in any outage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ingest.stores import Kept, Written

Write = Callable[[Sequence[str]], Awaitable[Written | Kept]]


async def bisect(
    write: Write, lines: Sequence[str], failed: Kept, proof: Sequence[str]
) -> Written | Kept:
    """Write halves of halves of lines that `failed` as a whole. `proof` is one line that changes
    nothing however often it is written; in an outage it isn't taken, which costs one write."""
    rejected: dict[int, str] = {}
    if not await _taken(write, proof):
        return failed
    pending = [(0, len(lines), failed)]
    while pending:
        start, end, kept = pending.pop()
        if end - start == 1:
            if not await _taken(write, proof):
                return kept
            again = await write(lines[start:end])
            if isinstance(again, Written):
                rejected |= {start + index: reason for index, reason in again.rejected.items()}
                continue
            if not await _taken(write, proof):
                return kept
            rejected[start] = kept.reason
            continue
        middle = (start + end) // 2
        for low, high in ((start, middle), (middle, end)):
            answer = await write(lines[low:high])
            if isinstance(answer, Written):
                proof = _accepted(lines, low, high, answer) or proof
                rejected |= {low + index: reason for index, reason in answer.rejected.items()}
            elif answer.bisect:
                pending.append((low, high, answer))
            else:
                return answer
    return Written(rejected)


async def _taken(write: Write, proof: Sequence[str]) -> bool:
    answer = await write(proof)
    return isinstance(answer, Written) and not answer.rejected


def _accepted(lines: Sequence[str], low: int, high: int, answer: Written) -> Sequence[str]:
    """One line of these that the database took, to ask again with."""
    taken = (lines[low + i : low + i + 1] for i in range(high - low) if i not in answer.rejected)
    return next(taken, [])
