"""A wrong ingest.toml is told by file, key and remedy, before anything is connected."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.broker import open_door
from ingest.configuration import IngestSettings, load_configuration, read_configuration
from ingest.guard import Limits
from tests.secret_file import write_secret
from wire.configuration import Broker, ConfigurationError, Tls


def toml(folder: Path, more: str = "", letters: str | None = None) -> str:
    path = letters or str(folder / "letters.jsonl")
    return (
        f'[store]\ntype = "sqlite"\npath = "{folder}/store.db"\n'
        f'[dead_letters]\npath = "{path}"\n{more}'
    )


def test_the_defaults_are_the_designs(tmp_path):
    configuration = load_configuration(toml(tmp_path), "ingest.toml")
    assert configuration.broker == Broker()
    assert configuration.ingest == IngestSettings(
        group="ingest", batch_lines_max=5000, join_s=0.1, retention_days=90, late_s=300
    )
    assert configuration.ingest.limits == Limits()


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("[ingest]\nbatch_lines_max = 0", "ingest.batch_lines_max"),
        ("[ingest]\njoin_s = 9", "ingest.join_s"),
        ("[ingest]\nretention_days = 91", "ingest.retention_days"),
        ('[ingest]\ngroup = "a/b"', "ingest.group"),
        ("[broker]\nport = 0", "broker.port"),
        ('[broker]\npassword_file = "/no/such"', "broker.password_file"),
        (
            '[broker.tls]\nca_file = "/no/ca"\ncertificate_file = "/no/c"\nkey_file = "/no/k"',
            "broker.tls.ca_file",
        ),
    ],
)
def test_a_value_that_can_not_work_is_named_with_its_remedy(tmp_path, more, key):
    with pytest.raises(ConfigurationError) as raised:
        load_configuration(toml(tmp_path, more), "ingest.toml")
    assert str(raised.value).startswith(f"ingest.toml: {key}: ")
    assert ". " in str(raised.value)


def test_an_unknown_key_is_refused_with_its_path(tmp_path):
    with pytest.raises(ConfigurationError, match=r"ingest\.toml: ingest: .*colour"):
        load_configuration(toml(tmp_path, '[ingest]\ncolour = "red"'), "ingest.toml")


def test_a_dead_letter_folder_that_is_missing_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"dead_letters.path: no folder .*mkdir -p"):
        load_configuration(toml(tmp_path, letters=f"{tmp_path}/gone/letters"), "ingest.toml")


def test_a_file_that_can_not_be_read_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_configuration(tmp_path / "ingest.toml")


def test_before_setup_the_token_may_be_missing(tmp_path):
    text = '[store]\ntype = "influxdb2"\ntoken_file = "/no/token"\n' + toml(tmp_path).partition(
        "[dead_letters]"
    )[2].join(["[dead_letters]", ""])
    load_configuration(text, "ingest.toml", before_setup=True)
    with pytest.raises(ConfigurationError, match="token_file"):
        load_configuration(text, "ingest.toml")


def test_a_password_that_others_may_read_is_no_door_and_later_the_one_before_goes_on(
    tmp_path, caplog
):
    file = tmp_path / "password"
    write_secret(file, "first")
    broker = Broker(username="city", password_file=str(file))
    door = open_door(broker, "ingest.toml")
    write_secret(file, "second")
    file.chmod(0o644)
    assert door.again().password == "first"
    assert f"chmod 640 {file}" in caplog.text
    with pytest.raises(ConfigurationError, match="chmod 640"):
        open_door(broker, "ingest.toml")
    file.chmod(0o640)
    assert door.again().password == "second"


def test_a_certificate_that_is_none_is_told_before_connecting(tmp_path):
    file = tmp_path / "nonsense.pem"
    write_secret(file, "nonsense")
    broker = Broker(tls=Tls(ca_file=str(file), certificate_file=str(file), key_file=str(file)))
    with pytest.raises(ConfigurationError, match=r"ingest.toml: broker.tls: .*PEM"):
        open_door(broker, "ingest.toml")
