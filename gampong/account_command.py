"""`gampong account add|list|remove|password|role FILE …`: who may come into the Command Center.

Runs on the page's machine, as its user. In: `page.toml`; a password from the terminal or a file,
never from the arguments, which everybody on the machine can see. Out: results on stdout; 0, 1 when
it can't be done (no such account, a password that is easily guessed), 2 for a configuration that
can't be used.
"""

from __future__ import annotations

import argparse
import getpass
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from wire.clock import SystemClock
from wire.configuration import ConfigurationError
from wire.small_file import read_secret

if TYPE_CHECKING:
    from dashboards.configuration import PageConfiguration
    from dashboards.operators.accounts import Accounts

UNUSABLE = 2
NOT_DONE = 1
ROLES = ("viewer", "operator", "admin")
_PASSWORD_BYTES_MAX = 4096


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command with its words."""
    account = subparsers.add_parser("account", help="who may come into the Command Center")
    words = account.add_subparsers(dest="account_command", required=True, metavar="WORD")

    add = _word(words, "add", "a new account; the first makes the file", run_add)
    add.add_argument("--role", choices=ROLES, default="viewer", help="viewer by default")
    _takes_password(add)

    _word(words, "list", "names, roles, open sessions", run_list, named=False)
    _word(words, "remove", "take it away and end its sessions", run_remove)
    _takes_password(_word(words, "password", "another password; ends its sessions", run_password))

    role = _word(words, "role", "another role; ends its sessions", run_role)
    role.add_argument("role", choices=ROLES)


def _word(
    words: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    about: str,
    run: Callable[[argparse.Namespace], int],
    *,
    named: bool = True,
) -> argparse.ArgumentParser:
    word = words.add_parser(name, help=about)
    word.add_argument("file", metavar="FILE", help="page.toml")
    if named:
        word.add_argument("name", metavar="NAME", help="lower-case letters, digits, . - and _")
    word.set_defaults(run=run)
    return word


def _takes_password(word: argparse.ArgumentParser) -> None:
    word.add_argument(
        "--password-file", type=Path, metavar="FILE", help="its first line; asked for without it"
    )


def run_add(args: argparse.Namespace) -> int:
    """A new account, its password asked for twice."""
    from dashboards.operators.visitor import Role

    def add(accounts: Accounts, now_ms: int) -> str:
        accounts.add(args.name, Role(args.role), _password(args), now_ms)
        return f"{args.name}, {args.role}"

    return _change(args, add, make=True)


def run_remove(args: argparse.Namespace) -> int:
    """Its sessions end at once, on every screen."""

    def remove(accounts: Accounts, now_ms: int) -> str:
        accounts.remove(args.name)
        return f"{args.name} is removed"

    return _change(args, remove)


def run_password(args: argparse.Namespace) -> int:
    """Its sessions end at once, on every screen."""

    def change(accounts: Accounts, now_ms: int) -> str:
        accounts.set_password(args.name, _password(args), now_ms)
        return f"{args.name} has a new password"

    return _change(args, change)


def run_role(args: argparse.Namespace) -> int:
    """Its sessions end at once, on every screen."""
    from dashboards.operators.visitor import Role

    def change(accounts: Accounts, now_ms: int) -> str:
        accounts.set_role(args.name, Role(args.role), now_ms)
        return f"{args.name}, {args.role}"

    return _change(args, change)


def run_list(args: argparse.Namespace) -> int:
    """One line an account: name, role, open sessions, when the newest was seen."""
    from dashboards.operators.accounts import Accounts

    try:
        with _opened(args.file) as (file, configuration):
            zone = ZoneInfo(configuration.time_zone)
            for one in Accounts(file).all():
                words = [one.name, one.role.value, f"{one.sessions} sessions"]
                if one.seen_ms:
                    seen = datetime.fromtimestamp(one.seen_ms / 1000, zone)
                    words.append(f"seen {seen:%Y-%m-%d %H:%M}")
                print("  ".join(words))
    except ConfigurationError as error:
        return _fail(error)
    return 0


def _change(
    args: argparse.Namespace, change: Callable[[Accounts, int], str], *, make: bool = False
) -> int:
    from dashboards.operators.accounts import AccountError, Accounts
    from dashboards.operators.audit import Audit, Entry
    from dashboards.operators.passwords import PasswordError

    now_ms = SystemClock().now_ms()
    try:
        with _opened(args.file, make=make) as (file, configuration):
            said = change(Accounts(file), now_ms)
            log = Audit(file, configuration.accounts.audit_rows)
            action = f"account {args.account_command}"
            log.write(Entry(now_ms, getpass.getuser(), "command line", action, args.name, said))
    except (AccountError, PasswordError) as error:
        print(error, file=sys.stderr)
        return NOT_DONE
    except ConfigurationError as error:
        return _fail(error)
    print(said)
    return 0


@contextmanager
def _opened(
    path: str, *, make: bool = False
) -> Iterator[tuple[sqlite3.Connection, PageConfiguration]]:
    from dashboards.configuration import read
    from dashboards.operators.account_file import open_file

    configuration = read(path, accounts_only=True)
    if not configuration.accounts.file:
        problem, remedy = "names no file", 'E.g. file = "/var/lib/gampong-page/accounts.db"'
        raise ConfigurationError(path, "accounts", problem, remedy)
    with closing(open_file(configuration.accounts.file, make=make)) as file:
        yield file, configuration


def _password(args: argparse.Namespace) -> str:
    """From the file, or typed twice.

    Raises:
        ConfigurationError: the file can't be used, or nobody is there to type.
        PasswordError: typed differently.
    """
    from dashboards.operators.passwords import PasswordError

    if args.password_file is not None:
        return _first_line(args.password_file)
    if not sys.stdin.isatty():
        remedy = "Run it in a terminal, or give --password-file"
        raise ConfigurationError("password", "", "nobody to ask", remedy)
    typed = getpass.getpass(f"Password of {args.name}: ")
    if getpass.getpass("Again: ") != typed:
        raise PasswordError("typed differently the second time: nothing is changed")
    return typed


def _first_line(path: Path) -> str:
    try:
        text = read_secret(str(path), "--password-file", _PASSWORD_BYTES_MAX).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), "", str(error), "Name a text file") from error
    return text.partition("\n")[0].removesuffix("\r")


def _fail(error: Exception) -> int:
    print(error, file=sys.stderr)
    return UNUSABLE
