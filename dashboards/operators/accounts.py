"""The accounts: names, roles, hashed passwords. Whoever changes one ends its sessions."""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from dashboards.operators.passwords import check_new, hashed
from dashboards.operators.visitor import Role

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SALT_BYTES = 16


class AccountError(Exception):
    """It can't be done; the text says why, and what to do."""


class Account(msgspec.Struct, frozen=True):
    """One account as it is listed. `sessions` are those that haven't ended; times are wall time,
    `seen_ms` 0 where there is none."""

    name: str
    role: Role
    changed_ms: int
    sessions: int
    seen_ms: int


class Accounts:
    """The accounts in the file."""

    def __init__(self, file: sqlite3.Connection) -> None:
        self._file = file

    def add(self, name: str, role: Role, password: str, now_ms: int) -> None:
        """A new account.

        Raises:
            AccountError: the name can't be one, or is taken.
            PasswordError: too easy.
        """
        if NAME.fullmatch(name) is None:
            remedy = "use lower-case letters, digits, . - and _, at most 64"
            raise AccountError(f"{name!r} can't be a name: {remedy}")
        kept = _hashed_new(password, name)
        try:
            self._file.execute(
                "INSERT INTO account (name, role, password, changed_ms) VALUES (?, ?, ?, ?)",
                (name, role.value, kept, now_ms),
            )
        except sqlite3.IntegrityError as error:
            remedy = "gampong account password gives it a new password"
            raise AccountError(f"{name} is there already: {remedy}") from error

    def remove(self, name: str) -> None:
        """Take it away, and end its sessions.

        Raises:
            AccountError: there is no such account.
        """
        with self._of(name):
            self._file.execute("DELETE FROM account WHERE name = ?", (name,))

    def set_password(self, name: str, password: str, now_ms: int) -> None:
        """Give it another password, and end its sessions.

        Raises:
            AccountError: there is no such account.
            PasswordError: too easy.
        """
        kept = _hashed_new(password, name)
        with self._of(name):
            self._file.execute(
                "UPDATE account SET password = ?, changed_ms = ? WHERE name = ?",
                (kept, now_ms, name),
            )

    def set_role(self, name: str, role: Role, now_ms: int) -> None:
        """Give it another role, and end its sessions.

        Raises:
            AccountError: there is no such account.
        """
        with self._of(name):
            self._file.execute(
                "UPDATE account SET role = ?, changed_ms = ? WHERE name = ?",
                (role.value, now_ms, name),
            )

    def all(self) -> list[Account]:
        """By name."""
        rows = self._file.execute(
            "SELECT name, role, changed_ms, count(digest), coalesce(max(seen_ms), 0) "
            "FROM account LEFT JOIN session USING (name) GROUP BY name ORDER BY name"
        )
        return [Account(name, Role(role), *rest) for name, role, *rest in rows]

    def password_of(self, name: str) -> str | None:
        """Its hashed password; None when there is no such account."""
        row = self._file.execute("SELECT password FROM account WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _of(self, name: str) -> Iterator[None]:
        """One transaction for what is done to it and for its sessions' end."""
        with self._file:  # commits, or rolls back
            self._file.execute("BEGIN IMMEDIATE")
            if self.password_of(name) is None:
                raise AccountError(f"no account {name!r}: see gampong account list")
            yield
            self._file.execute("DELETE FROM session WHERE name = ?", (name,))


def _hashed_new(password: str, name: str) -> str:
    check_new(password, name)
    return hashed(password, secrets.token_bytes(_SALT_BYTES))
