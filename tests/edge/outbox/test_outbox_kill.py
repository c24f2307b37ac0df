"""`kill -9` for real, at any moment: whatever was said to be accepted is there afterwards."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.edge.outbox.rig import Rig
from wire.batch import decode_batch

KILLS = 10
ROOT = Path(__file__).resolve().parents[3]


def run_and_kill(folder: Path, draw: random.Random, count: int) -> list[str]:
    """What the child managed to say before it was killed."""
    command = [sys.executable, "-m", "tests.edge.outbox.accepting_child", str(folder)]
    command += [str(draw.randrange(2**32)), str(count)]
    after = draw.randint(1, 300)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        said = [line for line, _ in zip(child.stdout, range(after), strict=False)]
        child.kill()
        said += child.stdout.readlines()
    assert child.returncode == -9
    return [line for line in said if line.endswith("\n")]


def kept_devices(rig: Rig) -> set[str]:
    """Devices of every reading that is on disk, confirmed or not."""
    rig.outbox.resend_since(0)
    batches = rig.outbox.waiting(0, 10**6)
    lines = [line for sealed in batches for line in decode_batch(sealed.payload)]
    return {line.split(",")[1].removeprefix("device=") for line in lines}


def test_everything_accepted_survives_kill_9(tmp_path, seed):
    draw = random.Random(seed)
    accepted: set[str] = set()
    for kill in range(1, KILLS + 1):
        said = run_and_kill(tmp_path, draw, kill * 1_000_000)
        assert said[0] == "start\n"
        accepted |= {line.split()[1] for line in said if line.startswith("accepted")}
        rig = Rig(tmp_path)
        assert rig.ledger().gaps == kill
        rig.flush()  # what is journalled
        sealed = rig.seal_one(1)
        assert sealed.key.sequence == rig.outbox.summary().newest_sequence
        before = rig.ledger()
        assert accepted <= kept_devices(rig)
        after = rig.outbox.ledger(Counter(), 0)
        assert after.balanced
        assert after.accepted == before.accepted == before.waiting + before.stored
        assert list(tmp_path.glob("*.damaged-*")) == []
        rig.outbox.close()
    assert len(accepted) > KILLS
