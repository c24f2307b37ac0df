"""`gateway.toml` written again by a tool: comments and order kept, whole or not at all.

In: the text as it was read, and what to change. Out: the new text; the file replaced, once the new
text is a configuration that the agent accepts and nobody has changed the file meanwhile. Owner and
mode stay: the agent must still be able to read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tomlkit

from edge.configuration import load_configuration
from edge.device_edits import device_table
from edge.whole_file import write_whole
from wire.configuration import ConfigurationError


def with_device_keys(
    text: str,
    source: str,
    device: str,
    table: str,
    keys: Mapping[str, int | tuple[float, ...]],
) -> str:
    """The text with these keys in that table of the device, `[device.container]` or inline.

    Raises:
        ConfigurationError: not TOML, or no such device.
    """
    document, found = device_table(text, source, device)
    if table not in found:
        found[table] = tomlkit.inline_table()
    for key, value in keys.items():
        found[table][key] = list(value) if isinstance(value, tuple) else value
    return tomlkit.dumps(document)


def rewrite(path: Path, before: str, after: str) -> None:
    """Replace the file's text.

    Raises:
        ConfigurationError: the agent wouldn't accept it, or somebody changed the file meanwhile.
        OSError: the folder can't be written.
    """
    load_configuration(after, str(path))
    path = path.resolve()  # a link to the file stays a link
    if path.read_text(encoding="utf-8") != before:
        remedy = "Run this again"
        raise ConfigurationError(str(path), "", "somebody changed it meanwhile", remedy)
    write_whole(path, after.encode())
