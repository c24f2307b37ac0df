"""What of a store's settings can be refused before any connection."""

from __future__ import annotations

import pytest

from ingest.stores.configuration import (
    InfluxSettings,
    SqliteSettings,
    StoreSettings,
    check_settings,
)
from tests.secret_file import write_secret
from wire.configuration import Configuration, ConfigurationError, decode_toml


class Whole(Configuration, frozen=True):
    store: StoreSettings


def check(text: str) -> StoreSettings:
    settings = decode_toml(f"[store]\n{text}", Whole, "ingest.toml").store
    check_settings(settings, "ingest.toml")
    return settings


@pytest.fixture
def token(tmp_path):
    file = tmp_path / "token"
    write_secret(file, "secret")
    return file


def test_the_type_chooses_the_database(tmp_path, token):
    path = f"{tmp_path}/store.db"
    assert check(f'type = "sqlite"\npath = "{path}"') == SqliteSettings(path=path)
    token_file = str(token)
    settings = check(f'type = "influxdb2"\ntoken_file = "{token_file}"')
    assert settings == InfluxSettings(token_file=token_file)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('type = "influxdb3"', "store"),
        ('type = "influxdb2"\nurl = "influx:8086"', r"store\.url"),
        ('type = "influxdb2"\nurl = "http://me:secret@host"', r"store\.url"),
        ('type = "influxdb2"\nurl = "http://host/?org=x"', r"store\.url"),
        ('type = "influxdb2"\norg = ""', r"store\.org"),
        ('type = "influxdb2"\ntimeout_s = 0', r"store\.timeout_s"),
        ('type = "influxdb2"\ntoken_file = "/nowhere"', r"store\.token_file.*ingest setup"),
        ('type = "influxdb2"\ntoken = "secret"', "token"),
        ('type = "influxdb2"\nbuckets.city = "city_health"', r"store\.buckets"),
        ('type = "influxdb2"\nbuckets.city = \'a"b\'', r"store\.buckets"),
        ('type = "influxdb2"\nca_file = "/nowhere"', r"store\.ca_file"),
        ('type = "influxdb2"\nretention.city = 0', r"store\.retention\.city"),
        ('type = "sqlite"\npath = "/nowhere/store.db"', r"store\.path.*mkdir"),
        ('type = "sqlite"\nbusy_timeout_s = 0', r"store\.busy_timeout_s"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(text, names, token, tmp_path):
    if "influxdb2" in text and "token_file" not in text:
        text += f'\ntoken_file = "{token}"'
    if "sqlite" in text and "path" not in text:
        text += f'\npath = "{tmp_path}/store.db"'
    with pytest.raises(ConfigurationError, match=names):
        check(text)
