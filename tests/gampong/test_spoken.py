"""What the technician's commands say, in Indonesian for whoever stands on the ladder."""

from __future__ import annotations

import ast
import errno
import json
import os
import pty
import re
import ssl
import string
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from edge.certificate_words import BROKERS, OURS, UNKNOWN, told_of
from gampong import help_language
from gampong.cli import main
from gampong.spoken import in_indonesian, said
from tests.architecture.source import ROOT
from tests.servers import free_port
from wire.sentence import Told, system_told, told

COMMANDS = (
    "doctor",
    "bus",
    "scan",
    "probe",
    "calibrate",
    "enrol",
    "confirmed",
    "pin",
    "top",
    "site_log",
)
ERRORS = {
    "ConfigurationError": ("problem", "remedy"),
    "OutboxUnusable": ("remedy",),
    "OutboxDamaged": ("remedy",),
    "OutboxFailing": ("remedy",),
    "OutboxFull": ("remedy",),
}
"""Their last arguments, which are translated whole."""

TABLES = "edge/certificate_words.py"
"""Its templates stand in tables, which are asked below."""

SYSTEM = {
    os.strerror(number)
    for number in (
        errno.ENOENT,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.EROFS,
        errno.ENOSPC,
        errno.EIO,
        errno.EBUSY,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ETIMEDOUT,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
    )
}
NAMES = {
    "Name or service not known",
    "Temporary failure in name resolution",
    "No address associated with hostname",
}
LOST = {"refused with 0x{code:02x}", "the connection ended", "the port was lost: {why}"}


@cache
def trees() -> Mapping[str, ast.Module]:
    """Every file whose words a technician may read."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("wire", "edge", "gampong")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call of that function, with its file."""
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                yield file, node


def constants(node: ast.expr) -> Iterator[str]:
    """The text of a constant, or of both sides of an `if`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*constants(node.body), *constants(node.orelse))


def assigned(tree: ast.Module, names: Collection[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        (target, value) = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=True))
        for name, given in pairs:
            if isinstance(name, ast.Name) and name.id in names:
                yield from constants(given)


@cache
def of_errors() -> set[str]:
    """Problems and remedies of configurations, and remedies of outboxes, that are the same each
    time."""
    found: set[str] = set()
    for error, parts in ERRORS.items():
        raised = [each for each in calls(error) if not each[0].startswith("gampong/")]
        last = [argument for _, call in raised for argument in call.args[len(parts) : 4]]
        found |= {each for argument in last for each in constants(argument)}
        for file in {file for file, _ in raised}:
            found |= set(assigned(trees()[file], parts))
    return found


def templates() -> set[str]:
    """Every template that is a sentence, and not places alone."""
    told_ones = {
        call.args[0].value for _, call in calls("told") if isinstance(call.args[0], ast.Constant)
    }
    lower = {each for each in said() if each.capitalize() in SYSTEM}  # as an error's problem
    every = {
        *told_ones,
        *of_errors(),
        *lower,
        *BROKERS.values(),
        *OURS.values(),
        UNKNOWN,
        *SYSTEM,
        *NAMES,
        *LOST,
    }
    return {str(each) for each in every if re.search("[A-Za-z]", re.sub(r"{[^}]*}", "", str(each)))}


def places(template: str) -> set[tuple[str | None, str | None, str | None]]:
    return {(name, spec, how) for _, name, spec, how in string.Formatter().parse(template) if name}


def test_every_sentence_of_a_technicians_command_is_there_in_indonesian() -> None:
    assert sorted(templates() - set(said())) == []


def test_no_translation_is_left_over_from_a_sentence_that_changed() -> None:
    assert sorted(set(said()) - templates()) == []


def test_a_translation_has_the_figures_of_its_sentence_and_no_others() -> None:
    assert [en for en, id_ in said().items() if places(en) != places(id_)] == []


def test_a_sentence_stands_in_its_call_so_that_a_missing_translation_is_seen() -> None:
    hidden = [file for file, call in calls("told") if not isinstance(call.args[0], ast.Constant)]
    assert set(hidden) == {TABLES}


def test_nothing_in_words_is_printed_past_the_translation() -> None:
    printed = []
    for file, call in calls("print"):
        if file not in {f"gampong/{name}_command.py" for name in COMMANDS}:
            continue
        spoken = [
            inner
            for node in ast.walk(call)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("told", "as_json")
            for inner in ast.walk(node)
        ]
        for node in (each for argument in call.args for each in ast.walk(argument)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = re.sub(r"gampong( [a-z]+)*: |\\[A-Z]", "", node.value)
                if re.search("[A-Za-z]{2}", words) and node not in spoken:
                    printed.append((file, node.value))
    assert printed == []


def test_a_sentence_within_a_sentence_is_said_in_the_same_language() -> None:
    inner = told("{count} batches wait, {share:.0%} full", count=3, share=0.5)
    whole = told("{waiting}, room for {hours:.0f} hours more", waiting=inner, hours=7.4)
    assert whole == "3 batches wait, 50% full, room for 7 hours more"
    assert in_indonesian(whole) == "3 kiriman menunggu, 50% terisi, cukup untuk 7 jam lagi"


def test_braces_in_a_name_or_in_what_the_system_said_are_only_text() -> None:
    assert in_indonesian(told("{port} is free", port="/dev/{x}")) == "/dev/{x} bebas"
    odd = OSError(errno.EXDEV, "{x}", "{y}")
    assert in_indonesian(system_told(odd)) == str(odd)
    assert in_indonesian(Told("{z} is up", "{z} is up", {})) == "{z} is up"


def test_a_certificate_that_the_broker_refuses_is_told_with_openssls_own_words() -> None:
    said_by_it = "[SSL: SSLV3_ALERT_CERTIFICATE_REVOKED] sslv3 alert certificate revoked (_ssl.c:1)"
    assert in_indonesian(told_of(ssl.SSLError(1, said_by_it))) == (
        "broker menolak sertifikat gateway ini: sertifikat itu sudah dicabut. "
        f"Tanyakan sebabnya kepada operator ({said_by_it})"
    )


def gampong(language: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gampong", *words]
    environment = {**os.environ, "LC_ALL": language, "PYTHONUTF8": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.fixture
def bad(tmp_path: Path) -> Iterator[Path]:
    """A gateway with much that is wrong: an adapter that is away, a port that another program
    (this one) holds, no certificates, a broker that is down, no outbox."""
    holder, held = pty.openpty()
    path = tmp_path / "gateway.toml"
    files = "".join(
        f'{key} = "{tmp_path}/{key}"\n' for key in ("ca_file", "certificate_file", "key_file")
    )
    path.write_text(
        f'[gateway]\nname = "a-01"\nsite = "s"\n[outbox]\npath = "{tmp_path}/outbox.db"\n'
        f"bytes_max = 2000000\n[broker]\nport = {free_port()}\n[broker.tls]\n{files}"
        f'[[link]]\ntype = "uart"\nname = "away"\nport = "/dev/ttyUSB93"\n'
        f'[[link]]\ntype = "modbus"\nname = "held"\nport = "{os.ttyname(held)}"\n'
    )
    yield path
    os.close(holder)
    os.close(held)


def test_the_doctor_speaks_indonesian_from_the_first_line_to_the_last(bad: Path) -> None:
    found = gampong("id_ID.UTF-8", "doctor", str(bad))
    assert found.returncode == 1, found.stderr
    lines = found.stdout.splitlines()
    assert f"✓ konfigurasi: {bad}" in lines
    away = lines.index("✗ port away: /dev/ttyUSB93 tidak ada")
    assert lines[away + 1].startswith("    Pasang adaptornya, atau sebutkan port lain")
    assert any(line.startswith("✗ port held: ") and "sedang dipakai oleh" in line for line in lines)
    ended = lines.index(
        f"✗ sertifikat: {bad.parent}/certificate_file: berkas atau folder tidak ada"
    )
    assert lines[ended + 1] == "    Daftarkan lagi: gampong edge enrol"
    assert f"! outbox: outbox tidak ada di {bad.parent}/outbox.db" in lines
    # Nothing is said alike in both languages.
    same = {shape(line) for line in lines} & {
        shape(line) for line in gampong("C.UTF-8", "doctor", str(bad)).stdout.splitlines()
    }
    assert same == set()


def shape(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def test_a_broker_that_is_down_is_told_in_indonesian(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    outbox = f'[outbox]\npath = "{tmp_path}/outbox.db"\n'
    port = free_port()
    path.write_text(f'[gateway]\nname = "a-01"\nsite = "s"\n{outbox}[broker]\nport = {port}\n')
    lines = gampong("id_ID.UTF-8", "doctor", str(path)).stdout.splitlines()
    down = lines.index(f"✗ broker: 127.0.0.1:{port}: sambungan ditolak")
    assert lines[down + 1] == "    Apakah nomor port-nya benar, dan brokernya hidup?"


def test_what_programs_read_is_the_same_in_every_shell(bad: Path) -> None:
    in_shells = [
        json.loads(gampong(language, "doctor", "--json", str(bad)).stdout)
        for language in ("id_ID.UTF-8", "C.UTF-8")
    ]
    first, second = (
        [(one["look"], one["verdict"], shape(one["seen"]), one["remedy"]) for one in findings]
        for findings in in_shells
    )
    assert first == second
    assert "Enrol again: gampong edge enrol" in [remedy for *_, remedy in first]


def test_a_configuration_that_can_not_be_used_is_told_in_an_indonesian_frame(
    tmp_path: Path,
) -> None:
    path = tmp_path / "gateway.toml"
    for words in (["doctor"], ["bus"], ["edge", "check"], ["edge", "top"]):
        run = gampong("id_ID.UTF-8", *words, str(path))
        assert run.returncode == 2
        assert run.stderr.startswith(f"gampong {' '.join(words)}: kesalahan: {path}: ")
    path.write_text('[gateway]\nname = "a-01"\nsite = "s"\nnonsense = 1\n')
    run = gampong("id_ID.UTF-8", "doctor", str(path))
    what, remedy = run.stderr.splitlines()
    assert "gateway.nonsense" in what or "`nonsense`" in what
    assert remedy == "    yang harus dilakukan: Lihat berkas contoh untuk kunci ini"


def test_an_agent_reads_no_texts_in_an_indonesian_shell(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LC_ALL", "id_ID.UTF-8")
    help_language.texts.cache_clear()
    before = said.cache_info()
    assert main(["edge", "run", str(tmp_path / "none.toml")]) != 0
    assert help_language.texts.cache_info().currsize == 0
    assert said.cache_info() == before
