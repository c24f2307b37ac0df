"""What the cloud asks of a gateway beside confirmations, and what it answers.

    config           Desired          retained, from the watch: the whole text of a gateway.toml
    config/applied   Applied          retained, from the gateway: what became of it
    command          Command          not retained, with an expiry: read now, restart a link, ...
    command/result   CommandResult    the answer, under the command's id

Packed as status and inventory are (`wire.messages`). A version is a number that only grows; a
gateway looks at each once, whatever it made of it.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from wire.messages import Whole

TEXT_BYTES_MAX = 96 * 1024
"""Of a configuration: 1,000 devices with all their keys. What is larger isn't even looked at."""

ID_MAX = 64
EXPIRY_S_MAX = 600.0
"""A command that asks to be carried out later than this isn't one."""


class Desired(msgspec.Struct, frozen=True, omit_defaults=True):
    """The configuration that a gateway is to have.

    `base` is the digest of the text that this one was made from: a gateway whose file has been
    changed since refuses it, so that a calibration isn't undone by somebody who didn't know of it.
    Empty: whatever is there is replaced.
    """

    version: Whole
    text: str
    base: str = ""
    by: str = ""


class ConfigurationState(StrEnum):
    """What became of a desired configuration.

    `local` before there ever was one; `trying` until a batch is confirmed with it; `overtaken` when
    somebody at the site changed the file during its trial.
    """

    LOCAL = "local"
    TRYING = "trying"
    APPLIED = "applied"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"
    OVERTAKEN = "overtaken"


class Applied(msgspec.Struct, frozen=True, omit_defaults=True):
    """A gateway's word: `version` is the newest it looked at, `digest` the file's in force."""

    version: Whole
    digest: str
    state: ConfigurationState
    reason: str = ""


class Ask(StrEnum):
    """What can be asked of a gateway. `target` is a device, a device, a link, nothing."""

    READ_NOW = "read_now"
    SET_INTERVAL = "set_interval"
    RESTART_LINK = "restart_link"
    TELL_CONFIGURATION = "tell_configuration"


class Command(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. It is refused after `until_ms`, and done once however often it comes."""

    id: str
    ask: Ask
    until_ms: Whole
    target: str = ""
    value: float = 0.0
    by: str = ""


class CommandResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: `done` or not, and what was seen or why not. `text` is a configuration."""

    id: str
    done: bool
    detail: str = ""
    text: str = ""


def text_digest(text: str) -> str:
    """128 bits of BLAKE2b over a configuration's text, hexadecimal."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
