"""What every access point's link asks for, whatever it speaks: ubus, REST or SNMP.

In: a deadline. Out: parts of an answer as JSON, as the driver of its kind reads them; a part that
didn't answer is left out. Answers can hold visitors' MAC addresses: nobody here decodes them.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from wire.small_file import Kept, OpenToOthers, read_secret

IT_ANSWERED = msgspec.Raw(b"{}")


class NoAnswer(Exception):
    """The access point can't be reached, or says nothing that can be understood."""


class AccountRefused(Exception):
    """It answers, but not to this account; the text ends with the remedy."""


class AccessPoint(Protocol):
    """One access point."""

    @property
    def where(self) -> str:
        """Its address, for a person."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """What `ask` can give. The first one is what an empty object stands in for when it
        answers but refuses the account: it is up."""
        ...

    async def ask(self, parts: dict[str, msgspec.Raw], deadline: float) -> None:
        """Put in what it answers before `Clock.monotonic()` is at the deadline.

        Raises:
            NoAnswer, AccountRefused: not all could be asked; `parts` holds what could.
        """
        ...


class Account:
    """The secret in a file, its last line break left out; read at each log-in. "" without a file.

    Args:
        file: its name, or "".
        key: where the configuration names it.
    """

    def __init__(self, file: str, key: str) -> None:
        self._file = file
        self._kept = Kept(lambda: read_secret(file, key).decode().rstrip("\r\n"))

    def secret(self) -> str:
        """What is valid now.

        Raises:
            AccountRefused: the file can't be read, or others may.
        """
        if not self._file:
            return ""
        try:
            return self._kept.now()
        except OpenToOthers as error:
            raise AccountRefused(str(error)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise AccountRefused(f"{self._file} can't be read") from error
