"""Token files: read where only their owner and group can, and written with mode 0600."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ingest.stores import StoreError
from wire.small_file import OpenToOthers, read_secret


def read_token(path: Path, key: str = "store.token_file") -> str:
    """The token in a file; `key` is where it was named.

    Raises:
        StoreError: names the file and the remedy.
    """
    try:
        token = read_secret(str(path), key).decode("ascii").strip()
    except OpenToOthers as error:
        raise StoreError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"can't read the token in {path} ({error}); run ingest setup") from error
    if not token or not token.isprintable() or " " in token:
        raise StoreError(f"{path} holds no token; run gampong ingest setup")
    return token


def write_token(path: Path, token: str) -> None:
    """A token to a file that only its owner reads; a file that was there keeps its owner.

    Raises:
        StoreError: names the file.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, f"{token}\n".encode("ascii"))
            os.fsync(handle)
        finally:
            os.close(handle)
        with suppress(FileNotFoundError):
            present = path.stat()
            os.chown(draft, present.st_uid, present.st_gid)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreError(f"can't write the token to {path}: {error}") from error
