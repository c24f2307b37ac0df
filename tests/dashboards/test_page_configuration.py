"""`page.toml`: what can't be used is told before anything starts, with its key and the remedy."""

from __future__ import annotations

import pytest

from dashboards.configuration import check_listening, is_loopback, load
from wire.configuration import ConfigurationError

STORE = '[store]\ntype = "sqlite"\npath = "x.db"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('time_zone = "Mars"\n' + STORE, "time_zone"),
        ("overstay_min = 0\n" + STORE, "overstay_min: 0. Choose 1 to 100000"),
        ("promised = 99\n" + STORE, "promised"),
        (STORE + "[accounts]\ntries = 5\nhttps = true\n", "accounts.file: needed by"),
        (STORE + '[accounts]\nfile = "a"\nidle_minutes = 0\n', "accounts.idle_minutes"),
        (STORE + '[accounts]\nfile = "a"\ntrusted_proxies = ["proxy"]\n', "trusted_proxies"),
        (STORE + '[accounts]\nfile = "a"\ntoken_file = "/nowhere"\n', "openssl rand"),
        (STORE + '[accounts]\nfile = "a"\npassword = "x"\n', "accounts: "),
        (STORE + '[alerts]\ndesk_file = "/nowhere/alerts.json"\n', "no folder /nowhere"),
    ],
)
def test_a_key_that_cant_be_used_is_named(text, said):
    with pytest.raises(ConfigurationError, match=said):
        load(text, "page.toml")


def test_a_token_that_others_may_read_or_guess_is_refused(tmp_path):
    file = tmp_path / "state.token"
    text = f'{STORE}[accounts]\nfile = "a"\ntoken_file = "{file}"\n'
    file.touch(mode=0o600)
    file.write_text("short")
    with pytest.raises(ConfigurationError, match="easily guessed"):
        load(text, "page.toml")
    file.write_text("x" * 44)
    assert load(text, "page.toml").accounts.token_file == str(file)
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 640"):
        load(text, "page.toml")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "[::1]:80", "127.9.9.9:8080"])
def test_this_machine_is_known_by_its_names(host):
    assert is_loopback(host)
    check_listening(load(STORE, "page.toml"), host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "evil.example", "localhost.evil.example", "10.0.0.1", "["]
)
def test_any_other_name_needs_accounts(host):
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError, match="gampong account add"):
        check_listening(load(STORE, "page.toml"), host)
    check_listening(load(STORE + '[accounts]\nfile = "a"\n', "page.toml"), host)
