"""`gampong completion bash|zsh|fish`: the shell completes words, options and file names.

    gampong completion bash | sudo tee /etc/bash_completion.d/gampong
    gampong completion zsh > ~/.zfunc/_gampong
    gampong completion fish > ~/.config/fish/completions/gampong.fish

The script knows the commands of this version; make it again after an upgrade.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

UNUSABLE = 2


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    completion = subparsers.add_parser(
        "completion",
        help="a script with which the shell completes gampong's words",
        description="Example: gampong completion bash | sudo tee /etc/bash_completion.d/gampong",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """`gampong completion`."""
    try:
        import shtab
    except ModuleNotFoundError:
        print("gampong completion: needs shtab. Run: pip install shtab", file=sys.stderr)
        return UNUSABLE
    from gampong.cli import parser

    whole = parser([])
    _mark_files(whole, shtab.FILE)
    print(shtab.complete(whole, shell=arguments.shell))
    return 0


def _mark_files(parser: argparse.ArgumentParser, mark: object) -> None:
    """Every argument that is a path completes to files; words' own arguments as well."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _mark_files(sub, mark)
        elif action.type is Path:
            action.complete = mark  # type: ignore[attr-defined]
