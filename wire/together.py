"""Parts that run side by side until one of them finds what they share lost.

Python 3.11 and 3.12 lose a cancellation that reaches a TaskGroup in which a task has failed: the
failure is raised, the cancellation isn't, and a link that repairs itself goes on as if nobody had
asked it to stop. `Task.cancelling()` doesn't tell: these versions also leave it at one too many
when a task fails while the group is being left (docs.python.org, "Task groups", changed in 3.13;
python/cpython issue 116720). So no task fails here: what a part finds is kept, the others are
cancelled, and it is raised once the group is left. A group without a failed task keeps every
cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def together(
    lost: type[Exception] | tuple[type[Exception], ...], *parts: Coroutine[object, object, None]
) -> None:
    """Run all parts; one that ends leaves the others running.

    Raises:
        lost: what the first part to raise one raised; the others are cancelled.
    """
    found: list[Exception] = []
    tasks: list[asyncio.Task[None]] = []

    async def guarded(part: Coroutine[object, object, None]) -> None:
        try:
            await part
        except lost as error:
            found.append(error)
            for task in tasks:
                if task is not asyncio.current_task():
                    task.cancel()

    try:
        async with asyncio.TaskGroup() as group:
            tasks += [group.create_task(guarded(part)) for part in parts]
    finally:
        for part in parts:
            part.close()  # one that was cancelled before it began
    if found:
        raise found[0]
