"""Files with secrets in them, as everybody has to write them."""

from __future__ import annotations

from pathlib import Path


def write_secret(file: Path, secret: str | bytes) -> None:
    """Into a file that is its owner's alone, from its first byte on."""
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_bytes(secret if isinstance(secret, bytes) else secret.encode())
