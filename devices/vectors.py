"""A driver's vectors: real bytes beside the values, or the refusal, that they must give.

In: `devices/<model>.vectors.toml`. Out: `Vector`s, for the tests and for `gampong devices`.

    [[vector]]
    name = "a car arrives"            # a sentence
    source = "where the bytes and their meaning come from"
    hex = "01"                        # or text = '{"probe": ...}' for a payload that is text
    port = 1                          # LoRaWAN only
    fields = { occupied = 1 }         # one record ...
    event = true                      # ... which the device calls news

In place of `fields`: `refused = "length"`, or `values = []` for a message that is known and holds
no reading, or `[[vector.values]]` (fields, time_ms, channel, event) for several records.
"""

from __future__ import annotations

from importlib import resources

import msgspec

from devices.driver import VECTORS_SUFFIX
from devices.reading import Payload, Refusal, Value, Values


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record of a payload that holds several."""

    fields: dict[str, Value]
    time_ms: int | None = None
    channel: str = ""
    event: bool = False


class Vector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One payload and what the driver must make of it."""

    name: str
    source: str
    hex: str = ""
    text: str = ""
    port: int = 0
    fields: dict[str, Value] | None = None
    event: bool = False
    values: tuple[Record, ...] | None = None
    refused: Refusal | None = None

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.fields, self.values, self.refused)) != 1:
            raise ValueError(f"{self.name}: give one of fields, values, refused")
        if self.hex and self.text:
            raise ValueError(f"{self.name}: give hex or text, not both")

    @property
    def payload(self) -> Payload:
        """What the device sent."""
        data = self.text.encode() if self.text else bytes.fromhex(self.hex)
        return Payload(data, self.port)

    @property
    def expected(self) -> tuple[Values, ...]:
        """What `decode` must return; meaningless when `refused` is set."""
        if self.fields is not None:
            return (Values(self.fields, event=self.event),)
        return tuple(Values(r.fields, r.time_ms, r.channel, r.event) for r in self.values or ())


class _VectorFile(msgspec.Struct, forbid_unknown_fields=True):
    vector: tuple[Vector, ...]


def read_vectors(driver: str) -> tuple[Vector, ...]:
    """The vectors beside a driver.

    Raises:
        ValueError: the file's text isn't of this form; the message names the place.
    """
    text = resources.files("devices").joinpath(driver + VECTORS_SUFFIX).read_text("utf-8")
    return msgspec.toml.decode(text, type=_VectorFile).vector
