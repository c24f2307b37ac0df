"""The laws of `design.md` and `style.md`, as checks over the source text."""
