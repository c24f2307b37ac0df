"""Lines as one text are the same lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.stores.block import Block

LINES = st.lists(st.text("abc ,=1", min_size=1, max_size=20), max_size=5)


@given(st.lists(LINES, max_size=4))
def test_blocks_joined_hold_every_line_at_its_place(groups):
    lines = [line for group in groups for line in group]
    block = Block.joined(map(Block.of, groups))
    assert [*block] == lines
    assert len(block) == len(lines)
    assert block[1:3] == lines[1:3]
    assert block.text.decode() == "".join(f"{line}\n" for line in lines)
