"""Lines that nobody needs to look at again, as one text.

A sequence of lines, so that whoever asks for one has it; but most blocks go from the guard through
the joiner into a request without ever being taken apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self, overload


class Block(Sequence[str]):
    """Lines of the grammar (`ingest.grammar`), each ended by a newline.

    Args:
        text: the lines.
        size: how many they are.
    """

    __slots__ = ("_lines", "size", "text")

    def __init__(self, text: bytes, size: int) -> None:
        self.text = text
        self.size = size
        self._lines: list[str] | None = None

    @classmethod
    def of(cls, lines: Sequence[str]) -> Self:
        """A block of these."""
        return cls("".join([f"{line}\n" for line in lines]).encode("ascii"), len(lines))

    @classmethod
    def joined(cls, blocks: Iterable[Block]) -> Self:
        """One block of many."""
        blocks = list(blocks)
        return cls(b"".join([block.text for block in blocks]), sum([b.size for b in blocks]))

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if self._lines is None:
            self._lines = self.text.decode("ascii").split("\n")[: self.size]
        return self._lines[index]
