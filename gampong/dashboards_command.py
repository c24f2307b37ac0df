"""`gampong dashboards build|check|push`: Grafana's dashboards and rules from our definitions.

Exit codes: 0, 1 when something is wrong with what is built or with Grafana, 2 for a configuration
that can't be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dashboards.grafana.build import Built

WRONG, REFUSED = 1, 2
COMMITTED = "deploy/grafana"


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command's words."""
    top = subparsers.add_parser("dashboards", help="Grafana's dashboards and alert rules")
    words = top.add_subparsers(dest="word", required=True, metavar="WORD")
    build = words.add_parser("build", help="write the whole provisioning folder")
    build.add_argument("--to", default=COMMITTED, metavar="DIR", help=f"default {COMMITTED}")
    build.add_argument("--pictures", default="", metavar="DIR", help="draw each layout as SVG")
    check = words.add_parser("check", help="what is wrong, and what the database answers")
    check.add_argument("--to", default="", metavar="DIR", help="compare with what stands there")
    check.add_argument("--influx-url", default="", metavar="URL", help="ask it every question")
    check.add_argument("--token-file", default="", metavar="FILE", help="the reading token")
    check.add_argument("--site", default="", metavar="NAME", help="only about this site")
    push = words.add_parser("push", help="put it all into a running Grafana")
    push.add_argument("--url", required=True, help="http://host:3000")
    push.add_argument("--token-file", required=True, metavar="FILE", help="an Admin's token")
    push.add_argument("--dry-run", action="store_true", help="only say what would change")
    push.add_argument("--editable", action="store_true", help="leave it editable in the pages")
    push.add_argument("--secrets", action="store_true", help="send secrets again")
    for parser in (build, check, push):
        parser.add_argument("--config", default="", metavar="FILE", help="dashboards.toml")
        parser.add_argument("--language", choices=("en", "id"), help="of titles and texts")
    build.set_defaults(run=_guarded(run_build))
    check.set_defaults(run=_guarded(run_check))
    push.set_defaults(run=_guarded(run_push))


Run = Callable[[argparse.Namespace], int]


def _guarded(run: Run) -> Run:
    """A configuration that can't be used is told, not traced."""

    def guarded(arguments: argparse.Namespace) -> int:
        from wire.configuration import ConfigurationError

        try:
            return run(arguments)
        except ConfigurationError as error:
            print(f"gampong dashboards: {error}", file=sys.stderr)
            return REFUSED

    return guarded


def run_build(arguments: argparse.Namespace) -> int:
    """Write what differs; what the folder held of ours and is no longer defined goes."""
    from dashboards.grafana.written import draw, write

    whole = _built(arguments)
    for line in write(whole, Path(arguments.to)):
        print(line)
    for line in draw(whole, Path(arguments.pictures)) if arguments.pictures else ():
        print(line)
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Look at everything that is built; compare and ask the database where told to."""
    from dashboards.grafana.checks import problems
    from dashboards.grafana.questions import Away, ask_all
    from dashboards.grafana.written import differing

    whole = _built(arguments)
    found = [each for made in whole.dashboards.values() for each in problems(made)]
    if arguments.to:
        changed = differing(whole, Path(arguments.to))
        found += [f"{path} isn't what `gampong dashboards build` makes" for path in changed]
    if arguments.influx_url:
        try:
            found += ask_all(whole, arguments.influx_url, arguments.token_file, arguments.site)
        except Away as error:
            found.append(str(error))
    for line in found:
        print(line)
    rules = sum(len(rules) for rules in whole.groups.values())
    print(f"{len(whole.dashboards)} dashboards, {rules} rules: {len(found)} to look at")
    return WRONG if found else 0


def run_push(arguments: argparse.Namespace) -> int:
    """Say or write what a Grafana lacks."""
    from dashboards.grafana.push import Grafana, PushError, Target, diff, look, push

    whole = _built(arguments)
    try:
        token = _token(arguments.token_file)
        grafana = Grafana(Target(arguments.url, token, arguments.editable))
        actions = look(grafana, whole, secrets=arguments.secrets)
        for action in actions:
            print(f"{action.verb} {action.what}")
            for line in diff(action) if arguments.dry_run else ():
                print(f"    {line}")
        if not arguments.dry_run:
            push(grafana, actions)
    except PushError as error:
        print(f"gampong dashboards push: {error}", file=sys.stderr)
        return WRONG
    done = "would be written" if arguments.dry_run else "written"
    print(f"{len(actions)} {done}" if actions else "nothing to change")
    return 0


def _token(file: str) -> str:
    from dashboards.grafana.push import PushError
    from wire.small_file import OpenToOthers, read_secret

    try:
        token = read_secret(file, "--token-file").decode("ascii").strip()
    except OpenToOthers as error:
        raise PushError(f"{error}; nothing was written") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PushError(f"can't read the token in {file}: {error}; nothing was written") from error
    if not token:
        raise PushError(f"{file} is empty: put a service account's token there")
    return token


def _built(arguments: argparse.Namespace) -> Built:
    import msgspec

    from dashboards.grafana.build import build
    from dashboards.grafana.configuration import GrafanaConfiguration
    from wire.configuration import ConfigurationError, decode_toml

    source = arguments.config or f"{COMMITTED}/dashboards.toml"
    try:
        text = Path(source).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(source, "", str(error), "Name it with --config") from error
    configuration = decode_toml(text, GrafanaConfiguration, source)
    if arguments.language:
        configuration = msgspec.structs.replace(configuration, language=arguments.language)
    return build(configuration, source)
