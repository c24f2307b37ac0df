"""A page's own style.

`ui.add_css` writes a script into the page's head that adds the style. What gets into the head may
be anybody's text one day, so no script there has the nonce (`scripts.py`): that one wouldn't run.
"""

from __future__ import annotations

from nicegui import ui


def add_style(css: str) -> None:
    """Put these rules, which are ours, on this viewer's page.

    Raises:
        ValueError: they hold a `<`, which could end them.
    """
    if "<" in css:
        raise ValueError("a style without <")
    ui.add_head_html(f"<style>{css}</style>")
