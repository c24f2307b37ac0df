"""How much each sender may send: so much a second, and so much at once. Pure.

One number a sender, the moment by which all it has sent would have come at the pace it is allowed
(the generic cell rate algorithm, ATM Forum TM 4.0, 4.4.2): nothing is refilled, nothing ticks. What
a message costs is known when it has been looked at, so it is charged afterwards, and a sender whose
moment lies more than `burst_s` ahead waits.
"""

from __future__ import annotations

SENDERS_MAX = 65_536
"""So many are remembered; then those that owe nothing are forgotten, and if all do, all are."""


class Allowances:
    """What each sender owes.

    Args:
        a_second: cost that a sender may cause in each second, in whatever unit is charged.
        burst_s: so many seconds' worth may come at once.
    """

    def __init__(self, a_second: float, burst_s: float) -> None:
        self._s_each, self._burst_s = 1 / a_second, burst_s
        self._paid_s: dict[str, float] = {}

    def wait_s(self, sender: str, now_s: float) -> float:
        """How long it has to wait; 0 or less when it hasn't."""
        return self._paid_s.get(sender, now_s) - now_s - self._burst_s

    def charge(self, sender: str, cost: float, now_s: float) -> None:
        """It has sent something that cost so much."""
        paid_s = self._paid_s.get(sender)
        if paid_s is None:
            self._make_room(now_s)
            paid_s = now_s
        self._paid_s[sender] = (paid_s if paid_s > now_s else now_s) + cost * self._s_each

    def _make_room(self, now_s: float) -> None:
        if len(self._paid_s) < SENDERS_MAX:
            return
        owing = {sender: paid_s for sender, paid_s in self._paid_s.items() if paid_s > now_s}
        self._paid_s = owing if len(owing) < SENDERS_MAX // 2 else {}
