"""Accepts readings as fast as it can and says so on stdout; is killed by `test_outbox_kill`.

Each reading's line is printed once its commit has returned, each batch's number and digest too.
Now and then it confirms what waits, and seals again, so that a kill may hit any kind of commit.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.edge.outbox.rig import Rig, counts


def main() -> None:
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    rig = Rig(folder)
    rig.count = count
    print("start", flush=True)
    while True:
        lines = rig.lines(draw.randint(1, 20))
        if draw.random() < 0.4:
            rig.outbox.journal(lines, counts(len(lines)))
        else:
            rig.seal(lines)
        for line in lines:
            print("accepted", line.device, flush=True)
        if draw.random() < 0.2:
            batches = rig.outbox.waiting(0, 5)
            rig.confirm(*batches)
            names = [str(sealed.key.sequence) for sealed in batches]
            print("confirmed", *names, flush=True)


if __name__ == "__main__":
    main()
