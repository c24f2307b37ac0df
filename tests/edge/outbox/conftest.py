"""An outbox for each test, closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.edge.outbox.rig import Rig


@pytest.fixture
def make_rig(tmp_path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(**settings: Any) -> Rig:
        folder = tmp_path / f"rig-{len(made)}"
        made.append(Rig(folder, **settings))
        return made[-1]

    yield make
    for rig in made:
        rig.outbox._file.close()


@pytest.fixture
def rig(make_rig) -> Rig:
    made: Rig = make_rig()
    return made
