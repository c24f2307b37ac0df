"""What must hold once nothing moves any more.

Every accepted reading is in the database exactly once or in the dead letters, or counted as
dropped; nothing waits; readings of a device are in the order in which they were taken, as far as
one clock goes; a polled reading is missing only if it was open when its agent died, or refused and
counted; a replayed dead letter is in the database; no sound card was called damaged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

import msgspec

from ingest.dead_letters import Letter
from tests.simulation.database import Mark, mark_of
from tests.simulation.machine import Machine
from tests.simulation.truth import Account, Truth

LIVE_S = 5.0
_letter = msgspec.json.Decoder(Letter)


def judge(truth: Truth, machine: Machine) -> Iterator[str]:
    """What is wrong with one gateway's readings."""
    account, marks = truth.accounts[machine.name], truth._database.marks
    ledger, buried = account.ledger, truth.buried()
    dropped, rejected = sum(ledger.dropped.values()), sum(ledger.rejected.values())
    if ledger.waiting or ledger.open:
        yield f"{ledger.waiting} wait, {ledger.open} open at the end"
    lost = [mark for mark in account.accepted if mark not in marks and mark not in buried]
    if len(lost) > dropped + ledger.waiting:
        yield f"{len(lost)} accepted and nowhere, {dropped} dropped, such as {lost[:3]}"
    found = sum(mark in marks for mark in account.accepted)
    if not ledger.stored <= found <= ledger.stored + dropped + rejected:
        yield f"{found} in the database, {ledger.stored} in the ledger"
    if rejected > sum(mark in buried for mark in account.accepted):
        yield f"{rejected} rejected, dead letters lack some"
    if set(ledger.dropped) - {"full"}:
        yield f"dropped {ledger.dropped}"
    if damaged := machine.card.damaged():
        yield f"a sound card was called damaged: {damaged}"
    yield from _disorder(truth, account)
    yield from _unexplained(machine, account)


def _disorder(truth: Truth, account: Account) -> Iterator[str]:
    written = truth.times.written
    devices: dict[tuple[str, str, int, bool], list[Mark]] = defaultdict(list)
    for mark, heard in account.heard.items():
        if mark in written and heard.occupied is None:
            trusted = heard.stamp_ms is not None
            devices[mark[0], heard.boot, heard.regime, trusted].append(mark)
    for (*_, trusted), marks in devices.items():
        for one, other in pairwise(sorted(marks, key=lambda mark: account.heard[mark].at_s)):
            before, after = account.heard[one].stamp_ms, account.heard[other].stamp_ms
            forward = not trusted or (before or 0) < (after or 0)
            if forward and written[one] >= written[other]:
                yield f"{one} at {written[one]}, {other} at {written[other]}: out of order"


def _unexplained(machine: Machine, account: Account) -> Iterator[str]:
    """What was polled and never accepted."""
    open_s = machine.configuration.outbox.seal_interval_s + 10 * machine.disk_slowest_s + 1.0
    unexplained = [
        mark
        for mark, heard in account.heard.items()
        if heard.occupied is None
        and mark not in account.accepted
        and mark not in account.orphans
        and not any(0 <= death - heard.at_s <= open_s for death in account.deaths)
        and not any(since - open_s <= heard.at_s <= until for since, until in account.failing)
    ]
    refused = account.ledger.refused
    counted = refused.get("disk_failing", 0) + refused.get("disk_full", 0)
    # A card that is gone took its count along; a commit of an agent that was killed in it was seen
    # by the ledger alone.
    suppressed = max(account.suppressed, account.ledger.suppressed)
    if len(unexplained) > counted + suppressed:
        yield f"polled and lost: {len(unexplained)}, such as {unexplained[:3]}, {counted} counted"


def judge_letters(truth: Truth) -> Iterator[str]:
    """What is wrong with the dead letters."""
    for path in truth.letters:
        for raw in path.read_bytes().splitlines() if path.exists() else ():
            letter = _letter.decode(raw)
            if letter.done_ms and mark_of(letter.line) not in truth._database.marks:
                yield f"replayed and not there: {letter.line}"
            if letter.reason not in ("claim", "type_conflict", "server_error"):
                yield f"rejected for {letter.reason}: {letter.line}"


def judge_live(truth: Truth, name: str, since: float, until: float) -> list[float]:
    """How long each reading sealed in that time took to the database, once linked."""
    account, written = truth.accounts[name], truth._database.written
    waits = []
    for mark, sealed_at in account.sealed.items():
        if since <= sealed_at <= until and mark not in truth.buried():
            wait_s = written.get(mark, float("inf")) - sealed_at
            waits.append(wait_s)
            if wait_s > LIVE_S:
                truth.problem(f"{name}: {mark} sealed at {sealed_at:.1f}, {wait_s:.1f} s")
    return waits
