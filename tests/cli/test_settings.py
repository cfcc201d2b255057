"""Where settings come from, and that secrets stay secret."""

from __future__ import annotations

import io
import json
import subprocess
import time
from pathlib import Path

import pytest

from cyclr_async.cli.commands.api import api
from cyclr_async.cli.options import SHARED
from cyclr_async.environment import VARIABLES
from cyclr_async.settings import SETTINGS
from tests.cli.cli_api import SECRET, Api, Result, Run, spawn

CONFIG = """
default_profile = "live"
[profiles.live]
region = "eu"
client_id = "from-profile"
client_secret = "canary-profile"
timeout = 30
[profiles.private]
base_url = "https://cyclr.example.com/api/partner"
token_url = "https://api.example.com/oauth/token"
access_token = "canary-token"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


def shown(result: Result) -> dict[str, tuple[str | None, str]]:
    assert result.code == 0, result.err
    assert "canary" not in result.out + result.err
    records = [json.loads(line) for line in result.out.splitlines()]
    return {record["setting"]: (record["value"], record["source"]) for record in records}


def test_each_setting_says_where_it_came_from(config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_TIMEOUT", "40")
    monkeypatch.setenv("CYCLR_CLIENT_ID", "from-environment")
    found = shown(cyclr("config", "show", "--client-id", "from-flag"))
    assert found["config_file"] == (str(config), "environment (CYCLR_CONFIG)")
    assert found["profile"] == ("live", "default")
    assert found["client_id"] == ("from-flag", "flag")
    assert found["timeout"] == ("40", "environment (CYCLR_TIMEOUT)")
    assert found["region"] == ("eu", "profile live")
    assert found["client_secret"] == ("***", "profile live")
    assert found["connections"] == ("100", "default")


def test_profile_by_flag_and_environment(config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_PROFILE", "private")
    found = shown(cyclr("config", "show"))
    assert found["profile"] == ("private", "environment (CYCLR_PROFILE)")
    assert found["access_token"] == ("***", "profile private")
    assert found["base_url"][0] == "https://cyclr.example.com/api/partner"
    assert shown(cyclr("config", "show", "--profile", "live"))["region"] == ("eu", "profile live")


def test_a_nearer_place_hides_a_farther_one(config: Path, cyclr: Run) -> None:
    found = shown(cyclr("config", "show", "--profile", "private", "--region", "uk"))
    assert found["region"] == ("uk", "flag")
    assert found["base_url"][0] is None
    assert found["token_url"][0] is None


def test_a_nearer_way_of_signing_in_hides_a_farther_one(
    config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CYCLR_CLIENT_ID", "me")
    monkeypatch.setenv("CYCLR_CLIENT_SECRET", "canary-env")
    found = shown(cyclr("config", "show", "--profile", "private"))
    assert found["access_token"][0] is None
    assert found["client_secret"] == ("***", "environment (CYCLR_CLIENT_SECRET)")


def test_a_profile_reaches_the_server(unwired: Api, config: Path, cyclr: Run) -> None:
    env = unwired.env
    config.write_text(
        f'[profiles.only]\nbase_url = "{env["CYCLR_BASE_URL"]}"\ntoken_url = "{env["CYCLR_TOKEN_URL"]}"\n'
        'client_id = "me"\nclient_secret = "s"\n'
    )
    assert cyclr("plans").code == 0
    assert unwired.requests == ["POST /oauth/token", "GET /api/partner/priceplans"]


@pytest.mark.parametrize("command", ['["sh", "-c", "printf s3cret"]', '"printf s3cret"'])
def test_secret_command(unwired: Api, config: Path, cyclr: Run, command: str) -> None:
    env = unwired.env
    config.write_text(
        f'[profiles.only]\nbase_url = "{env["CYCLR_BASE_URL"]}"\ntoken_url = "{env["CYCLR_TOKEN_URL"]}"\n'
        f'client_id = "me"\nsecret_command = {command}\n'
    )
    assert cyclr("plans").code == 0
    assert shown(cyclr("config", "show"))["client_secret"] == ("***", "profile only (secret_command)")


@pytest.mark.parametrize(
    ("command", "problem"),
    [('["false"]', "ended with code 1"), ('["true"]', "printed nothing"), ('["/no/such"]', "cannot be run")],
)
def test_a_failing_secret_command(config: Path, cyclr: Run, command: str, problem: str) -> None:
    config.write_text(f'[profiles.only]\nclient_id = "me"\nsecret_command = {command}\n')
    result = cyclr("plans")
    assert result.code == 2
    assert problem in result.err


def test_secret_command_is_not_run_for_nothing(config: Path, cyclr: Run, tmp_path: Path) -> None:
    config.write_text(f'[profiles.only]\nclient_id = "me"\nsecret_command = ["touch", "{tmp_path}/ran"]\n')
    assert cyclr("config", "show").code == 0
    assert cyclr("plans", "--simulate").code == 0
    assert not (tmp_path / "ran").exists()


def test_a_readable_configuration_file_is_warned_about(config: Path, cyclr: Run) -> None:
    assert "warning" not in cyclr("config", "show").err
    config.chmod(0o644)
    err = cyclr("config", "show").err
    assert "warning" in err
    assert f"chmod 600 {config}" in err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[profiles.live\n", "cannot be read"),
        ("[profiles.live]\nregoin = 'eu'\n", "regoin is unknown"),
        ("[profiles.live]\nclient_id = true\n", "client_id must be a text"),
        ("[profiles.live]\nclient_id = 'a'\nsecret_command = 3\n", "secret_command must be"),
        ("default_profile = 'x'\n[profiles.live]\n", "its profiles are: live"),
        ("profiles = 3\n", "must be tables"),
        ("[profiles.live]\nclient_id = 'a'\nclient_secret = 'b'\nregion = 'mars'\n", "unknown region"),
    ],
)
def test_bad_configuration(config: Path, cyclr: Run, text: str, problem: str) -> None:
    config.write_text(text)
    result = cyclr("plans")
    assert result.code == 2
    assert problem in result.err
    assert len(result.err.splitlines()) == 1


def test_secret_from_a_file_or_standard_input(
    unwired: Api, cyclr: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in unwired.env.items():
        if name != "CYCLR_CLIENT_SECRET":
            monkeypatch.setenv(name, value)
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    result = cyclr("plans", "--client-secret-file", "secret", "-vv")
    assert result.code == 0
    assert SECRET not in result.out + result.err
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET))
    assert cyclr("plans", "--client-secret-stdin").code == 0
    assert cyclr("plans", "--client-secret-stdin").code == 2  # nothing left to read
    assert cyclr("plans", "--client-secret-file", "missing").code == 2
    assert cyclr("plans", "--client-secret-file", "secret", "--client-secret-stdin").code == 2


@pytest.mark.parametrize("option", ["--client-secret", "--api-key", "--password", "--access-token"])
def test_no_option_takes_a_secret_itself(api: Api, cyclr: Run, option: str) -> None:
    for command in (("plans",), ("connectors", "install", "a", "b", "v1", "--installed-name", "x")):
        result = cyclr(*command, option, "canary-argument")
        assert result.code == 2
        assert "canary" not in result.err
    assert api.requests == []


def test_the_process_list_shows_no_secret(api: Api) -> None:
    api.delay = 5.0
    command = spawn("usage", "collect", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while not any(line.endswith("/billing") for line in api.requests) and time.monotonic() < until:
            time.sleep(0.02)
        line = Path(f"/proc/{command.pid}/cmdline").read_bytes()
        assert b"usage" in line
        assert SECRET.encode() not in line
    finally:
        command.kill()
        command.wait()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"CYCLR_CLIENT_ID": "a"}, "CYCLR_CLIENT_SECRET"),
        ({"CYCLR_CLIENT_SECRET": "canary"}, "CYCLR_CLIENT_ID"),
        ({"CYCLR_USERNAME": "u", "CYCLR_PASSWORD": "canary"}, "CYCLR_CLIENT_ID"),
    ],
)
def test_half_of_the_credentials_is_4(
    cyclr: Run, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    result = cyclr("plans")
    assert result.code == 4
    assert f"set {named}, or" in result.err
    assert "canary" not in result.err


BAD = {
    "timeout": ("0", "more than 0"),
    "connections": ("many", "whole number"),
    "requests_per_second": ("nan", "more than 0"),
    "region": ("mars", "unknown region"),
    "base_url": ("http://example.com/api/partner", "clear text"),
    "token_url": ("nonsense", "absolute"),
    "http_hosts": ("*.example.com", "not the name of one host"),
    "ca_file": ("no-such.pem", "no-such.pem"),
}
FLAGS = {"timeout", "region", "base_url", "token_url", "http_hosts"}


def sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CYCLR_CLIENT_ID", "me")
    monkeypatch.setenv("CYCLR_CLIENT_SECRET", "s")


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_a_wrong_flag_is_named_by_its_name(cyclr: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sign_in(monkeypatch)
    value, problem = BAD[name]
    flag = {"http_hosts": "--http-host"}.get(name, f"--{name.replace('_', '-')}")
    result = cyclr("plans", flag, value)
    assert result.code == 2
    assert flag in result.err
    assert problem in result.err
    assert "environment" not in result.err
    assert "CYCLR_" not in result.err


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_wrong_profile_is_named_by_its_key_and_file(
    config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    value, problem = BAD[name]
    config.write_text(f'[profiles.x]\nclient_id = "me"\nclient_secret = "s"\n{name} = "{value}"\n')
    result = cyclr("plans")
    assert result.code == 2
    assert f"{name} in profile 'x' of {config}: " in result.err
    assert problem in result.err
    assert "environment" not in result.err
    assert "CYCLR_" not in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_wrong_variable_is_named_by_its_name(cyclr: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sign_in(monkeypatch)
    value, problem = BAD[name]
    monkeypatch.setenv(f"CYCLR_{name.upper()}", value)
    result = cyclr("plans")
    assert result.code == 2
    assert f"CYCLR_{name.upper()}: " in result.err
    assert problem in result.err
    assert len(result.err.splitlines()) == 1


def test_what_is_missing_is_named_beside_what_was_given(
    config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(monkeypatch)
    url = "https://cyclr.example.com/api/partner"
    result = cyclr("plans", "--base-url", url)
    assert "--token-url is missing: a private instance needs it besides --base-url" in result.err
    config.write_text(f'[profiles.x]\nbase_url = "{url}"\n')
    result = cyclr("plans")
    assert f"token_url in profile 'x' of {config} is missing" in result.err


def test_a_wrong_secret_is_named_and_not_shown(config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('[profiles.x]\naccess_token = "canary token"\n')
    result = cyclr("plans")
    assert (result.code, "canary" in result.err) == (2, False)
    assert f"access_token in profile 'x' of {config}: " in result.err
    config.write_text('[profiles.x]\nclient_id = "me"\nsecret_command = ["printf", "a"]\ntimeout = -1\n')
    assert "timeout in profile 'x'" in cyclr("plans").err


def test_a_file_that_is_no_certificate_is_named(cyclr: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sign_in(monkeypatch)
    (tmp_path / "bad.pem").write_text("nonsense")
    monkeypatch.setenv("CYCLR_CA_FILE", "bad.pem")
    result = cyclr("plans")
    assert result.code == 2
    assert result.err.startswith("error: CYCLR_CA_FILE: ")
    assert len(result.err.splitlines()) == 1


def test_a_dry_run_names_them_too(cyclr: Run) -> None:
    result = cyclr("accounts", "create", "--name", "A", "--dry-run", "--base-url", "http://example.com/api/partner")
    assert result.code == 2
    assert "--base-url: " in result.err


@pytest.mark.parametrize("way", ["flag", "variable", "default"])
def test_a_profile_that_is_not_there_says_who_wants_it(
    config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "variable":
        monkeypatch.setenv("CYCLR_PROFILE", "nope")
    if way == "default":
        config.write_text('default_profile = "nope"\n[profiles.live]\n')
    result = cyclr("plans", *(("--profile", "nope") if way == "flag" else ()))
    named = {"flag": "--profile", "variable": "CYCLR_PROFILE", "default": "default_profile"}[way]
    assert result.code == 2
    assert f"{named}: there is no profile 'nope'" in result.err
    config.write_text("default_profile = [1]\n[profiles.live]\n")
    assert cyclr("config", "show").code == 2 or way == "variable"


def test_plain_http_hosts_by_flag_profile_and_variable(
    config: Path, cyclr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://simulator:8080/api/partner"
    args = ("accounts", "create", "--name", "A", "--dry-run", "--base-url", url)
    assert cyclr(*args).code == 2
    assert json.loads(cyclr(*args, "--http-host", "other", "--http-host", "simulator").out)["url"].startswith(url)
    config.write_text('[profiles.x]\nhttp_hosts = ["simulator"]\n')
    assert cyclr(*args).code == 0
    config.write_text('[profiles.x]\nhttp_hosts = "other, simulator"\n')
    assert cyclr(*args).code == 0
    assert shown(cyclr("config", "show"))["http_hosts"] == ("other, simulator", "profile x")
    config.unlink()
    monkeypatch.setenv("CYCLR_HTTP_HOSTS", "simulator")
    assert cyclr(*args).code == 0
    assert cyclr(*args, "--http-host", "other").code == 2  # the nearer list counts, and only that


def test_one_list_of_names(cyclr: Run) -> None:
    settings = list(shown(cyclr("config", "show")))
    assert settings[2:] == list(SETTINGS)
    assert [setting.variable for setting in SETTINGS.values()] == list(VARIABLES)
    options = {name for option in [*SHARED, *api.params] for name in option.opts}
    for setting in SETTINGS.values():
        if setting.flag is not None:
            assert any(name == setting.flag or name.startswith(setting.flag.rstrip("…")) for name in options)
    document = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for setting in SETTINGS.values():
        assert f"`{setting.name}`" in document
        assert f"`{setting.variable}`" in document
