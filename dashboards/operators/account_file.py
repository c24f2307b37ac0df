"""The file of accounts, sessions and the audit log: SQLite, apart from the city's data.

The page's process and `gampong account` open it at the same time: each change is one short
transaction, and the other side sees it at its next look.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from wire.configuration import ConfigurationError

VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS account (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, changed_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (
    digest BLOB PRIMARY KEY,
    name TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    began_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS session_name ON session (name);
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, who TEXT NOT NULL,
    address TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_refused ON audit (number) WHERE action = 'log-in refused';
CREATE INDEX IF NOT EXISTS audit_done ON audit (number) WHERE action <> 'log-in refused';
"""
_BUSY_S = 5.0
MEMORY = ":memory:"
"""In place of a path: nothing is kept. For a page that nobody logs in to."""


def open_file(path: str, *, make: bool = False) -> sqlite3.Connection:
    """A connection for one thread; the caller closes it.

    Raises:
        ConfigurationError: there is no such file (and `make` is off), others may read it, or it
            isn't one of ours.
    """
    if path != MEMORY:
        _check_mode(Path(path), make)
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        connection.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            remedy = "Run the gampong that made it, or a newer one"
            raise ConfigurationError(path, "", f"version {version}, not {VERSION}", remedy)
        connection.executescript(
            f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
        )
    except sqlite3.Error as error:
        remedy = "Move it away and make the accounts again: gampong account add"
        raise ConfigurationError(path, "", str(error), remedy) from error
    return connection


def _check_mode(path: Path, make: bool) -> None:
    """Nobody but its owner may read it: hashes of passwords are in it."""
    try:
        if make:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:  # or a name that no file can have
        remedy = "gampong account add makes it; its folder must be there and writable"
        raise ConfigurationError(str(path), "", str(error), remedy) from error
    if mode & 0o077:
        problem = f"others may read it (mode {mode & 0o777:o})"
        raise ConfigurationError(str(path), "", problem, f"chmod 600 {path}")
