"""A topic names its gateway, and only a name gets through."""

from __future__ import annotations

import pytest

from wire.clock import CityTime
from wire.configuration import Broker, ConfigurationError, decode_toml
from wire.topics import Leaf, every, gateway_of, shared, topic


@pytest.mark.parametrize("leaf", list(Leaf))
def test_the_gateway_of_a_topic_is_the_one_it_was_made_for(leaf: Leaf) -> None:
    assert gateway_of(topic("mahirah-01", leaf), leaf) == "mahirah-01"


@pytest.mark.parametrize(
    "name",
    ["gampong/v1/batch", "gampong/v1//batch", "gampong/v1/a/b/batch", "gampong/v1/A/batch",
     "gampong/v2/a/batch", "gampong/v1/a/batch/", "gampong/v1/../batch"],
)  # fmt: skip
def test_a_topic_that_names_no_gateway_is_told(name: str) -> None:
    assert gateway_of(name, Leaf.BATCH) is None


def test_filters_are_spelt_as_the_broker_wants_them() -> None:
    assert every(Leaf.STATUS) == "gampong/v1/+/status"
    assert shared("ingest", Leaf.BATCH) == "$share/ingest-batch/gampong/v1/+/batch"


def test_city_time_runs_at_its_rate_and_reads_back_from_its_argument() -> None:
    city = CityTime(1_000_000, 5_000_000, 60)
    assert city.at(1_001_000) == 5_060_000
    assert CityTime.parse(city.argument) == city
    for text in ("1:2", "1:2:0", "1:2:99999", "a:b:c"):
        with pytest.raises(ValueError):
            CityTime.parse(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('port = "x"', "broker.toml: port: Expected `int`"),
        ("prot = 1", "unknown field `prot`"),
        ("port =", "not TOML"),
        ('[tls]\nca_file = "a"', "tls"),
    ],
)
def test_a_wrong_configuration_names_file_and_key(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        decode_toml(text, Broker, "broker.toml")
    assert named in str(caught.value)
    assert str(caught.value).startswith("broker.toml")
