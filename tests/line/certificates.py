"""Certificates for a test, made by the machine's openssl: an authority, and what it signs."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers import find

_CONFIG = """
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[signed]
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:localhost
"""
_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
EXPIRED = -1  # openssl's own value "for testing expiration checks"


class Signed(NamedTuple):
    """A certificate, its key and its authority, PEM files."""

    ca_file: Path
    certificate_file: Path
    key_file: Path

    @property
    def toml(self) -> str:
        """For a configuration's `[broker]`."""
        pairs = (f'{name} = "{file}"' for name, file in self._asdict().items())
        return "\n".join(["[broker.tls]", *pairs])

    @property
    def mosquitto(self) -> str:
        """A listener that asks for a certificate and believes its name."""
        return (
            f"listener {{port}} 127.0.0.1\ncafile {self.ca_file}\n"
            f"certfile {self.certificate_file}\nkeyfile {self.key_file}\n"
            "require_certificate true\nuse_identity_as_username true\nallow_anonymous false\n"
        )

    def context(self) -> ssl.SSLContext:
        """For a client of the test's own."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


class Authority:
    """Signs in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._openssl = find("openssl", "apt-get install --no-install-recommends openssl")
        (folder / "openssl.cnf").write_text(_CONFIG)
        self.certificate_file = folder / "ca.pem"
        self._run(
            f"req -config openssl.cnf -x509 {_NEW_KEY} -keyout ca.key -out ca.pem -days 2"
            f" -subj /CN={folder.name}"
        )

    def sign(self, name: str, days: int = 2) -> Signed:
        """A certificate with that common name, good for this machine's own address."""
        stem = name if days > 0 else f"{name}-expired"
        self._run(
            f"req -config openssl.cnf -new {_NEW_KEY} -keyout {stem}.key -out {stem}.csr"
            f" -subj /CN={name}"
        )
        self._run(
            f"x509 -req -in {stem}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {stem}.pem"
            f" -days {days} -extfile openssl.cnf -extensions signed"
        )
        return Signed(
            self.certificate_file, self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        )

    def _run(self, words: str) -> None:
        command = [self._openssl, *words.split()]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(f"{' '.join(command)}: {done.stderr}")
