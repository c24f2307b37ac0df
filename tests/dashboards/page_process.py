"""`gampong page` as a process of its own, on a free port."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
END_S = 30.0
COMMAND = (sys.executable, "-m", "gampong", "page")


class Page:
    """A page that answers at `address`."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with urlopen(self.address + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal; the exit code once it has ended. That it ends by itself is what is
        asked: how soon is the machine's load as well."""
        self.process.send_signal(number)
        return self.process.wait(END_S)


@contextmanager
def page(store: Path, *arguments: str) -> Iterator[Page]:
    """Run it until the end of the block; what it says on stderr must stay empty but for events."""
    with _running("--store", f"sqlite:{store}", *arguments) as running:
        yield running


@contextmanager
def page_with_accounts(folder: Path, *arguments: str, more: str = "") -> Iterator[Page]:
    """The same over `folder/city.db`, with the accounts of `folder/accounts.db`: see `account`."""
    with _running("--config", str(page_toml(folder, more)), *arguments) as running:
        yield running


def page_toml(folder: Path, more: str = "") -> Path:
    """A configuration with accounts; `more` are keys of the table `accounts`, or tables."""
    file = folder / "page.toml"
    file.write_text(
        f'[store]\ntype = "sqlite"\npath = "{folder / "city.db"}"\n\n'
        f'[accounts]\nfile = "{folder / "accounts.db"}"\n{more}\n'
    )
    return file


def account(folder: Path, word: str, *arguments: str, password: str = "") -> str:
    """`gampong account`: what it says."""
    command = [sys.executable, "-m", "gampong", "account", word, str(page_toml(folder)), *arguments]
    if password:
        file = folder / "password"
        file.touch(mode=0o600)
        file.write_text(password + "\n")
        command += ["--password-file", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def _running(*arguments: str) -> Iterator[Page]:
    command = [*COMMAND, *arguments, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        try:
            words = process.stdout.readline().split()
            assert words[:1] == ["page"]
            yield Page(process, words[1])
        finally:
            process.kill()
