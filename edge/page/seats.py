"""Who has a seat at the page, and who gives his up when all are taken. No socket, no clock.

In: addresses as they connect, and which of them have a session. Out: a seat, or none. A newcomer
isn't turned away while somebody sits there who isn't being answered: whoever came first of those
goes, strangers before addresses with a session, which never go for a stranger. So a technician
comes in and stays, however many strangers hold seats and say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge.page.entry import network_of

SEATS, FROM_ONE_MAX = 16, 6
"""At once, in all and from one address (IPv6: one network); a browser opens six."""

Knows = Callable[[str], bool]


class Seat:
    """One connection's. `give_up` ends the connection; `is_answered` while its request is worked
    on, which nobody interrupts."""

    def __init__(self, address: str, give_up: Callable[[], None]) -> None:
        self.address, self.network = address, network_of(address)
        self.give_up = give_up
        self.is_answered = False


class Seats:
    """In the order in which they were taken. `knows`: whether an address has a session."""

    def __init__(self, knows: Knows) -> None:
        self._knows = knows
        self._there: dict[Seat, None] = {}

    def take(self, seat: Seat) -> bool:
        """Whether there is one, maybe another's from now on."""
        near = [other for other in self._there if other.network == seat.network]
        if len(near) >= FROM_ONE_MAX:
            is_free = self._free(near, seat)
        else:
            is_free = len(self._there) < SEATS or self._free(self._there, seat)
        if is_free:
            self._there[seat] = None
        return is_free

    def leave(self, seat: Seat) -> None:
        """Its connection has ended."""
        self._there.pop(seat, None)

    def _free(self, among: Iterable[Seat], newcomer: Seat) -> bool:
        idle = [seat for seat in among if not seat.is_answered]
        strangers = [seat for seat in idle if not self._knows(seat.address)]
        if not strangers and self._knows(newcomer.address):
            strangers = idle
        for seat in strangers[:1]:
            self.leave(seat)
            seat.give_up()
        return bool(strangers)
