"""The outbox's tables. Each file has exactly these, made in one transaction.

In: nothing. Out: the schema, and what tells it in a file's header.
"""

from __future__ import annotations

import sqlite3

PAGE_BYTES = 4096
"""A sector at least, so that a torn one has no other page in it."""

SCHEMA_VERSION = 2
VERSION_MAX = 999
"""A header that names a higher one isn't a newer version's but broken."""

APPLICATION_ID = 0x676D7067  # "gmpg"

SMALL_TABLES = ("meta", "counters", "states", "boots", "journal")
"""Those that don't grow with what waits."""

SCHEMA = """
CREATE TABLE batches (
    sequence INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    event INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    seal_ms INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    boot INTEGER,
    sent INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    settled_ms INTEGER NOT NULL DEFAULT 0,
    rejected TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX waiting ON batches (sequence, event, readings, size, reason, boot) WHERE state = 0;
CREATE TABLE payloads (
    sequence INTEGER PRIMARY KEY,
    payload BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    line TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    event INTEGER NOT NULL,
    boot INTEGER
) STRICT;
CREATE TABLE keys (
    time_ms INTEGER NOT NULL,
    name INTEGER NOT NULL,
    PRIMARY KEY (time_ms, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE states (
    device TEXT NOT NULL PRIMARY KEY,
    state BLOB NOT NULL,
    saved_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE counters (
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE boots (
    id INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL UNIQUE,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    offset_ms INTEGER,
    quality TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
"""


def create_schema(connection: sqlite3.Connection) -> None:
    """All of the schema in one transaction, before the log exists: a file is whole or empty."""
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.executescript(
        f"BEGIN;PRAGMA auto_vacuum=INCREMENTAL;{SCHEMA}PRAGMA application_id={APPLICATION_ID};"
        f"PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
    )


def schema_of(connection: sqlite3.Connection) -> set[tuple[str, str | None]]:
    """Every table and index, with the words that made it."""
    return set(connection.execute("SELECT name, sql FROM sqlite_master"))


def expected_schema() -> set[tuple[str, str | None]]:
    """What `schema_of` says of a sound file."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        create_schema(connection)
        return schema_of(connection)
    finally:
        connection.close()
