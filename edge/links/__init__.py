"""Links: what connects the agent to sensors. The only files of the agent that read from outside.

A link owns one port, bus, broker session or access point. It runs until cancelled, repairs itself
(a port that vanished, a broker that restarts), and hands what it hears to a `Sink`. It never
decodes: that is the driver's, at intake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from devices.envelope import Uplink
from devices.reading import Payload, Refusal
from wire.messages import LinkStatus


class NotAccepted(Exception):
    """The outbox can't commit now: don't acknowledge, reconnect for redelivery, try later."""


Answered = Callable[[NotAccepted | None], None]
"""What becomes of an uplink, called once: None when it is committed, so it may be acknowledged; or
why it isn't, nor is it counted."""


class Sink(Protocol):
    """Where links put what they hear."""

    def polled(self, device: str, payload: Payload) -> None:
        """A device's answer to a poll, or a frame it sent by itself on a serial port."""
        ...

    def refused(self, device: str, reason: Refusal) -> None:
        """A device was asked and gave nothing that can be read (time-out, wrong checksum)."""
        ...

    def noise(self, link: str, reason: str) -> None:
        """Something arrived that belongs to no device; counted in pieces."""
        ...

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        """A network server's uplink; `answered` is called once it is committed, or can't be.

        No task and no future for each: at 500 a second they cost more than the uplink.
        """
        ...


@runtime_checkable
class Polled(Protocol):
    """A link whose devices are asked, and may be asked out of their turn."""

    def ask_soon(self, device: str) -> None:
        """Ask that device as soon as the link is free."""
        ...

    def set_interval(self, device: str, seconds: float) -> None:
        """Ask it so often (city seconds) until the agent's next start."""
        ...


class Link(Protocol):
    """One running link."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Serve until cancelled; raises only for what no retry can mend."""
        ...

    def status(self) -> LinkStatus:
        """State and error counts by reason, for the gateway's status message."""
        ...
