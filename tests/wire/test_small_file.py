"""Files that a configuration names: plain, small, and secrets from nobody's but one's own."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tests.secret_file import write_secret
from wire.small_file import Kept, OpenToOthers, check_secret, read_secret, read_small

KEY = "broker.password_file"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    write_secret(path, "first")
    return path


def secret(file: Path) -> bytes:
    return read_secret(str(file), KEY)


def test_a_secret_is_its_owners_and_its_groups_to_read_and_nobody_elses(file):
    for mode in range(0o1000):
        file.chmod(mode | 0o400)
        if not mode & 0o027:
            assert secret(file) == b"first"
            check_secret(str(file), KEY)
            continue
        for look in (secret, lambda file: check_secret(str(file), KEY)):
            with pytest.raises(OpenToOthers) as error:
                look(file)
            assert (error.value.source, error.value.key) == (str(file), KEY)
            assert str(error.value).endswith(f"Run: chmod 640 {file}")


def test_who_looks_through_a_link_sees_what_it_leads_to(file, tmp_path):
    link = tmp_path / "link"  # a link's own mode says 777 and means nothing
    link.symlink_to(file)
    assert secret(link) == b"first"
    file.chmod(0o644)
    with pytest.raises(OpenToOthers, match="link"):
        secret(link)


def test_what_is_no_secret_is_read_whoever_may_read_it(file):
    file.chmod(0o644)
    assert read_small(str(file)) == b"first"


def test_a_file_that_is_not_there_is_for_its_reader_to_refuse(tmp_path):
    for name in ("none", "none/below", "a" * 5000, "zero\0", ""):
        check_secret(f"{tmp_path}/{name}" if name else "", KEY)
    with pytest.raises(FileNotFoundError):
        secret(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe", 0o666)
    check_secret(str(tmp_path / "pipe"), KEY)
    with pytest.raises(OSError, match="not a plain file"):
        secret(tmp_path / "pipe")


def test_the_secret_from_before_goes_on_while_the_new_one_is_open_to_others(file, caplog):
    kept = Kept(lambda: secret(file))
    assert (kept.now(), kept.behind) == (b"first", None)
    file.write_bytes(b"second")
    file.chmod(0o644)
    with caplog.at_level(logging.ERROR):
        assert kept.now() == b"first"
    assert f"chmod 640 {file}" in caplog.text
    assert "event=secret_not_read_again" in caplog.text
    assert "second" not in caplog.text
    assert kept.behind is not None
    file.chmod(0o640)
    assert kept.now() == b"second"
    assert kept.behind is None


def test_nothing_goes_on_that_was_never_read_and_no_other_fault_is_covered_up(file):
    file.chmod(0o644)
    kept = Kept(lambda: secret(file))
    with pytest.raises(OpenToOthers):
        kept.now()
    file.chmod(0o600)
    assert kept.now() == b"first"
    file.unlink()
    with pytest.raises(FileNotFoundError):
        kept.now()
