"""The nonce stands on the scripts of NiceGUI's own template, and on no other.

The mark is put into the template's text, before anything is filled in: a `<script` that comes with
a title, a style, an element or anybody's text has none, so the browser doesn't run it, though it
stands in the very first HTML. So neither does `ui.add_css` (`styles.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import BaseLoader, Environment
from nicegui.client import templates

MARK = '<script nonce="{{ request.scope.gampong.nonce }}"'


class _Marking(BaseLoader):
    """What NiceGUI's loader gives, with the mark."""

    def __init__(self, theirs: BaseLoader) -> None:
        self._theirs = theirs

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        text, file, is_newest = self._theirs.get_source(environment, template)
        return text.replace("<script", MARK), file, is_newest


def mark_scripts() -> None:
    """Before the first page is built."""
    loader = templates.env.loader
    assert loader is not None
    if not isinstance(loader, _Marking):
        templates.env.loader = _Marking(loader)
        if templates.env.cache is not None:
            templates.env.cache.clear()
