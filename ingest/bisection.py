"""Finding the lines a database chokes on, when its answer (a 5xx) doesn't say which.

A line is only given up when its neighbours prove that the database is well: between two failures of
the line and after the second, a line that was taken before is written again (which changes nothing)
and taken again. Without such a proof nothing is given up: the whole is Kept, as in any outage.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ingest.stores import Kept, Written

Write = Callable[[Sequence[str]], Awaitable[Written | Kept]]

_DEPTH_WITHOUT_SUCCESS = 3  # an outage costs at most 2 + 4 + 8 writes more


async def bisect(
    write: Write, lines: Sequence[str], failed: Kept, proof: Sequence[str] = ()
) -> Written | Kept:
    """Write halves of halves of lines that `failed` as a whole. `proof` is a line of another write
    that was taken, for lines without a good neighbour; in an outage it isn't taken again."""
    rejected: dict[int, str] = {}
    if proof and isinstance(await write(proof), Kept):
        return failed
    pending = [(0, len(lines), 0, failed)]
    while pending:
        start, end, depth, kept = pending.pop()
        if end - start == 1:
            if not proof or isinstance(await write(proof), Kept):
                return kept
            again = await write(lines[start:end])
            if isinstance(again, Written):
                rejected |= {start + index: reason for index, reason in again.rejected.items()}
                continue
            if isinstance(await write(proof), Kept):
                return kept
            rejected[start] = kept.reason
            continue
        if not proof and depth >= _DEPTH_WITHOUT_SUCCESS:
            return kept
        middle = (start + end) // 2
        for low, high in ((start, middle), (middle, end)):
            answer = await write(lines[low:high])
            if isinstance(answer, Written):
                proof = _accepted(lines, low, high, answer) or proof
                rejected |= {low + index: reason for index, reason in answer.rejected.items()}
            elif answer.bisect:
                pending.append((low, high, depth + 1, answer))
            else:
                return answer
    return Written(rejected)


def _accepted(lines: Sequence[str], low: int, high: int, answer: Written) -> Sequence[str]:
    """One line of these that the database took, to ask again with."""
    taken = (lines[low + i : low + i + 1] for i in range(high - low) if i not in answer.rejected)
    return next(taken, [])
