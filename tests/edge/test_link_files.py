"""Files that links name are looked at before anything runs; secrets are for nobody else."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from edge.configuration import EdgeConfiguration, load_configuration
from edge.link_files import check_files, server_tls
from edge.link_settings import MqttServer, MqttTls
from gampong.cli import parser
from tests.secret_file import write_secret
from wire.configuration import ConfigurationError

TOML = """
[gateway]
name = "gw-1"
site = "pasar"

[field_map.acme]
kind = "waste_container"
decoder = "{folder}/acme.js"
fields.filling_level = {{ from = "level" }}

[[link]]
type = "things_stack"
name = "things"
broker = {{ port = 8883, username = "app@ttn", password_file = "{folder}/mqtt.key", tls = {{}} }}

[link.storage]
url = "https://things.example"
application = "app"
api_key_file = "{folder}/api.key"

[[device]]
name = "bin-1"
driver = "acme"
link = "things"
dev_eui = "24e124713b493357"
"""


def configured(folder: Path, *missing: str) -> EdgeConfiguration:
    for name in ("acme.js", "mqtt.key", "api.key"):
        if name not in missing:
            write_secret(folder / name, "secret\n")
    return load_configuration(TOML.format(folder=folder), "gateway.toml")


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_good_files_are_good(tmp_path, mode):
    configuration = configured(tmp_path)
    for name in ("mqtt.key", "api.key"):
        (tmp_path / name).chmod(mode)
    (tmp_path / "acme.js").chmod(0o644)  # no secret
    check_files(configuration)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("acme.js", "field_map.acme.decoder"),
        ("mqtt.key", "broker.password_file"),
        ("api.key", "storage.api_key_file"),
    ],
)
def test_a_missing_file_is_refused_with_its_key(tmp_path, name, key):
    with pytest.raises(ConfigurationError) as error:
        check_files(configured(tmp_path, name))
    assert error.value.key == key
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("acme.js", "field_map.acme.decoder"),
        ("mqtt.key", "broker.password_file"),
        ("api.key", "storage.api_key_file"),
    ],
)
def test_a_pipe_a_device_and_a_file_without_end_are_refused_and_never_waited_for(
    tmp_path, name, key
):
    configuration = configured(tmp_path)
    file = tmp_path / name

    def large() -> None:
        with file.open("wb") as sparse:
            sparse.truncate(2**40)

    for make, said in (
        (lambda: os.mkfifo(file), "not a plain file"),
        (lambda: file.symlink_to("/dev/zero"), "not a plain file"),
        (file.mkdir, "not a plain file"),
        (large, "larger than"),
    ):
        file.rmdir() if file.is_dir() else file.unlink(missing_ok=True)
        make()
        with pytest.raises(ConfigurationError, match=said) as error:
            check_files(configuration)
        assert (error.value.source, error.value.key) == (str(file), key)


def test_a_certificate_that_is_a_pipe_is_refused_and_never_waited_for(tmp_path):
    pipe, plain = tmp_path / "pipe", tmp_path / "plain"
    os.mkfifo(pipe)
    plain.write_text("nothing")
    tls = [
        MqttTls(ca_file=str(pipe)),
        MqttTls(certificate_file=str(pipe)),
        MqttTls(certificate_file=str(plain), key_file=str(pipe)),
    ]
    for one in tls:
        with pytest.raises(ConfigurationError, match="not a plain file") as error:
            server_tls(MqttServer(tls=one))
        assert (error.value.source, error.value.key) == (str(pipe), "broker.tls")


def test_edge_check_takes_a_server_that_the_systems_authorities_vouch_for(tmp_path, capsys):
    configured(tmp_path)
    file = tmp_path / "gateway.toml"
    file.write_text(TOML.format(folder=tmp_path))
    words = ["edge", "check", str(file)]
    arguments = parser(words).parse_args(words)
    assert arguments.run(arguments) == 0
    assert "bin-1" in capsys.readouterr().out
    (tmp_path / "api.key").unlink()
    assert arguments.run(arguments) != 0
    assert "api.key" in capsys.readouterr().err


def test_a_machine_that_does_not_know_the_time_checks_all_but_dates():
    assert server_tls(MqttServer()) is None
    server = MqttServer(tls=MqttTls())
    knowing, unknowing = server_tls(server), server_tls(server, check_dates=False)
    assert knowing and unknowing
    assert unknowing.check_hostname
    assert unknowing.verify_mode == ssl.CERT_REQUIRED
    assert unknowing.verify_flags != knowing.verify_flags


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("port = 8883", "port = 0", "link[0] (things).broker.port"),
        ("port = 8883", "port = 8883, keepalive_s = -1", "link[0] (things).broker.keepalive_s"),
        ('application = "app"', 'application = "app"\ntimeout_s = 0', "storage.timeout_s"),
    ],
)
def test_what_no_connection_could_use_is_refused_with_its_key(tmp_path, old, new, key):
    text = TOML.format(folder=tmp_path).replace(old, new)
    with pytest.raises(ConfigurationError) as error:
        load_configuration(text, "gateway.toml")
    assert error.value.key.endswith(key)
