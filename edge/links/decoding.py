"""A link whose devices need their vendor's decoder: between the link and the sink.

In: uplinks of a link. Out: the same, with what the vendor's decoder makes of the payload in place
of the network server's object; devices without a decoder pass at once. One that its decoder gives
nothing for goes on without an object: it is refused with `format` at intake, and counted here as
`decoder_<why>`. Decoders run in a process of their own (`codecs.py`): the loop waits for none.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from devices.envelope import Uplink
from devices.reading import Payload, Refusal
from edge.links import Answered, Link, NotAccepted, Sink
from edge.links.codecs import CodecFault, Codecs
from wire.messages import LinkStatus

WAITING_MAX = 1024
"""Uplinks that wait for their decoder; one more is not accepted, and comes again."""

DETAIL_MAX = 200


class Decoding:
    """A `Sink` before another one, and the `Link` around the one that feeds it.

    Args:
        files: the decoder's file by device EUI.
        sink: where uplinks go on to.
        make: makes the link, given the sink that it has to use.
    """

    def __init__(self, files: Mapping[str, str], sink: Sink, make: Callable[[Sink], Link]) -> None:
        self._files, self._sink = dict(files), sink
        self._waiting: asyncio.Queue[tuple[str, Uplink, Answered]] = asyncio.Queue(WAITING_MAX)
        self._begun: tuple[str, Uplink, Answered] | None = None
        self._faults: Counter[str] = Counter()
        self._last = ""
        self._link = make(self)

    @property
    def name(self) -> str:
        return self._link.name

    async def run(self) -> None:
        """Serve until cancelled."""
        codecs = Codecs()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._link.run())
                group.create_task(self._decode(codecs))
        finally:
            await codecs.close()

    def status(self) -> LinkStatus:
        """The link's, with the faults of its decoders."""
        status = self._link.status()
        if not self._faults:
            return status
        return msgspec.structs.replace(
            status,
            errors={**status.errors, **self._faults},
            detail=status.detail or self._last[:DETAIL_MAX],
        )

    def polled(self, device: str, payload: Payload) -> None:
        self._sink.polled(device, payload)

    def refused(self, device: str, reason: Refusal) -> None:
        self._sink.refused(device, reason)

    def noise(self, link: str, reason: str) -> None:
        self._sink.noise(link, reason)

    def uplink(self, link: str, uplink: Uplink, answered: Answered) -> None:
        """Hand it on, decoded first where its device has a decoder."""
        if uplink.dev_eui not in self._files or uplink.told:
            self._sink.uplink(link, uplink, answered)
            return
        try:
            self._waiting.put_nowait((link, uplink, answered))
        except asyncio.QueueFull:
            answered(NotAccepted("too many uplinks wait for their decoder"))

    async def _decode(self, codecs: Codecs) -> None:
        while True:
            if self._begun is None:
                self._begun = await self._waiting.get()
            link, uplink, answered = self._begun  # a link that begins anew finds it here
            file = self._files[uplink.dev_eui]
            try:
                decoded = await codecs.decode(file, uplink)
            except CodecFault as fault:
                decoded = b""
                self._faults[f"decoder_{fault.reason}"] += 1
                self._last = f"{file}: {fault}"
            self._begun = None
            self._sink.uplink(link, msgspec.structs.replace(uplink, decoded=decoded), answered)
