"""`gateway.toml` written again by a tool: comments and order kept, whole or not at all.

In: the text as it was read, and what to change. Out: the new text; the file replaced, once the new
text is a configuration that the agent accepts and nobody has changed the file meanwhile. Owner and
mode stay: the agent must still be able to read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from edge.configuration import load_configuration
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
    try:
        document: Any = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigurationError(source, "", f"not TOML: {error}", "Mend that line") from error
    for each in document.get("device", ()):
        if each.get("name") == device:
            if table not in each:
                each[table] = tomlkit.inline_table()
            for key, value in keys.items():
                each[table][key] = list(value) if isinstance(value, tuple) else value
            return tomlkit.dumps(document)
    raise ConfigurationError(source, "device", f"no {device!r}", "Name one that is there")


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
    there = path.stat()
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), there.st_mode & 0o777)
            with suppress(PermissionError):  # not root: then it is ours anyway
                os.fchown(file.fileno(), there.st_uid, there.st_gid)
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
