"""``cyclr api``: any request to either API."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web

from cyclr_async.cli.raw_fields import as_object, as_query
from cyclr_async.simulator import Simulator
from tests.cli.cli_api import SECRET, Api, Run, on_a_terminal, spawn


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Both APIs with 250 accounts, found by the environment."""
    with Simulator(accounts=250, seed=3).in_thread() as running:
        for name in ("base_url", "v1_url", "token_url", "client_id", "client_secret"):
            monkeypatch.setenv(f"CYCLR_{name.upper()}", getattr(running, name))
        yield running


def test_the_answer_as_it_came(simulator: Simulator, cyclr: Run) -> None:
    result = cyclr("api", "GET", "details")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["Domain"] == "partner.example.com"
    (account,) = simulator.api_ids(1)
    result = cyclr("api", "get", f"/accounts/{account}", "--api", "v1")
    assert json.loads(result.out)["Id"] == account
    assert len(result.out.splitlines()) == 1


def test_every_account_on_every_page(simulator: Simulator, cyclr: Run) -> None:
    ids = simulator.api_ids()
    whole = cyclr("api", "GET", "accounts", "--api", "v1", "--paginate")
    assert [account["Id"] for account in json.loads(whole.out)] == ids
    lines = cyclr("api", "GET", "accounts?pageSize=7", "--api", "v1", "--paginate", "-o", "jsonl")
    assert [json.loads(line)["Id"] for line in lines.out.splitlines()] == ids
    later = cyclr("api", "GET", "accounts", "--api", "v1", "--paginate", "-F", "page=3")
    assert [account["Id"] for account in json.loads(later.out)] == ids[200:]
    assert json.loads(cyclr("api", "GET", "accounts?page=9", "--api", "v1", "--paginate").out) == []
    # The lists of the partner API come whole.
    assert len(json.loads(cyclr("api", "GET", "accounts", "--paginate").out)) == len(ids)


def test_pages_are_written_as_they_arrive(simulator: Simulator) -> None:
    command = spawn(
        *("api", "GET", "accounts", "--api", "v1", "--paginate", "-F", "pageSize=1", "-o", "jsonl"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    first = json.loads(command.stdout.readline())
    command.stdout.close()
    error = command.stderr.read()
    command.stderr.close()
    assert (command.wait(30), error) == (141, b"")
    assert first["Id"] == simulator.api_ids(1)[0]
    assert len(simulator.requests) < 250  # nobody read on, so nobody asked on


def test_an_account_is_created_changed_and_deleted(simulator: Simulator, cyclr: Run) -> None:
    v1 = ("--api", "v1")
    made = cyclr("api", "POST", "accounts", *v1, "-F", "Id=tenant 42", "-F", "Name=ACME", "-f", "AuditInfo=12")
    assert json.loads(made.out)["AuditInfo"] == "12"
    changed = cyclr("api", "PUT", "accounts/tenant%2042", *v1, "-F", "AuditInfo=null", "-F", "Name=New")
    assert (json.loads(changed.out)["AuditInfo"], json.loads(changed.out)["Name"]) == (None, "New")
    gone = cyclr("api", "DELETE", "accounts/tenant 42", *v1)
    assert (gone.code, gone.out) == (0, "")
    assert "200, and an empty answer" in gone.err
    missing = cyclr("api", "GET", "accounts/tenant 42", *v1)
    assert (missing.code, missing.out) == (1, "")
    assert "404: there is nothing with that id in this API" in missing.err


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (("-F", "a=1"), {"a": 1}),
        (("-F", "a=-1.5"), {"a": -1.5}),
        (("-F", "a=true", "-F", "b=false", "-F", "c=null"), {"a": True, "b": False, "c": None}),
        (("-f", "a=1", "-f", "b=true"), {"a": "1", "b": "true"}),
        (("-F", "a=007", "-F", "b=12e5", "-F", "c=True"), {"a": "007", "b": "12e5", "c": "True"}),
        (("-F", "a=1234567890123456789"), {"a": "1234567890123456789"}),
        (("-F", "a=x=y", "-F", "b="), {"a": "x=y", "b": ""}),
        (("-F", "a=@key", "-f", "b=@key"), {"a": "canary-key", "b": "@key"}),
        (("-F", "a[]=1", "-F", "a[]=x", "-F", "b[]"), {"a": [1, "x"], "b": []}),
        (("-F", "a[b][c]=1", "-F", "a[d]=2"), {"a": {"b": {"c": 1}, "d": 2}}),
        (
            ("-F", "p[][n]=a", "-f", "p[][v]=1", "-F", "p[][n]=b", "-f", "p[][v]=2"),
            {"p": [{"n": "a", "v": "1"}, {"n": "b", "v": "2"}]},
        ),
        ((), None),
    ],
)
def test_fields_make_the_body(api: Api, cyclr: Run, tmp_path: Path, given: tuple[str, ...], made: object) -> None:
    (tmp_path / "key").write_text("canary-key\n")
    result = cyclr("api", "POST", "createaccount", *given)
    assert (result.code, json.loads(result.out)) == (0, {"Id": f"{77:032x}"})
    assert api.bodies == [made]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_nothing_is_sent_as_an_object_to_v1(api: Api, cyclr: Run, method: str) -> None:
    api.special["/v1.0/cycles/x/activate"] = lambda _: web.json_response({})
    assert cyclr("api", method, "cycles/x/activate", "--account", "a").code == 0
    assert api.bodies == [{}]


def test_fields_make_the_query(api: Api, cyclr: Run) -> None:
    cyclr("api", "GET", "accounts?a=1&a=2", "-F", "b=true", "-f", "c=x y", "-F", "d[]=1", "-F", "d[]=2")
    Path("body.json").write_text('{"Name": "A"}')
    cyclr("api", "POST", "createaccount", "--input", "body.json", "-F", "folder=7")
    assert api.queries == ["a=1&a=2&b=true&c=x y&d=1&d=2", "folder=7"]
    assert api.bodies == [None, {"Name": "A"}]


def test_input_from_standard_input(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('[{"Name": "é"}]'))
    assert cyclr("api", "PATCH", "cycles/x/variables", "--account", "a b", "--input", "-").code == 0
    assert (api.bodies, api.accounts, api.requests[-1]) == (
        [[{"Name": "é"}]],
        ["a b"],
        "PATCH /v1.0/cycles/x/variables",
    )


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("accounts",), "write cyclr api GET accounts"),
        (("GET", "https://example.com/x"), "not a URL"),
        (("GET", "//example.com/x"), "not a URL"),
        (("GET", ".."), "dot segment"),
        (("GET", "a/%2e%2e/b"), "dot segment"),
        (("GET", "a%2Fb"), "a slash cannot be part"),
        (("GET", "v1.0/accounts"), "leave out v1.0/, and say --api v1"),
        (("GET", "/api/partner/details"), "leave out api/partner/, and say --api partner"),
        (("GET", "accounts", "--account", "a", "--api", "partner"), "--account is for the v1.0 API"),
        (("GET", "accounts", "--account", "ü"), "cannot be sent as a header"),
        (("GET", "accounts", "--input", "x.json"), "GET has no body"),
        (("POST", "accounts", "--paginate"), "--paginate is for GET"),
        (("POST", "accounts", "--input", "canary.json"), "is not JSON: malformed at character"),
        (("POST", "accounts", "--input", "null.json"), "null"),
        (("POST", "accounts", "--input", "none.json"), "cannot be read"),
        (("POST", "accounts", "--input", "-", "-F", "a=@-"), "only one thing can come from standard input"),
        (("POST", "accounts", "-F", "canary"), "name=value"),
        (("POST", "accounts", "-F", "=canary"), "name=value"),
        (("POST", "accounts", "-F", "a[=canary"), "name=value"),
        (("POST", "accounts", "-F", "a=@none"), "cannot be read"),
        (("GET", "accounts", "-F", "a=null"), "a query holds"),
        (("GET", "accounts?a=1", "-F", "a=2"), "given in PATH and as a field"),
        (("GET", "accounts", "--fields", "a"), "--fields"),
        (("GET", "accounts", "-o", "csv"), "-o json"),
        (("GET", "accounts", "--out", "x.csv"), "-o json"),
        (("GET", "accounts", "--api", "v2"), "'v2'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    api: Api, cyclr: Run, args: tuple[str, ...], problem: str
) -> None:
    Path("canary.json").write_text('{"a": canary}')
    Path("null.json").write_text("null")
    result = cyclr("api", *args)
    assert (result.code, result.out) == (2, "")
    assert problem in result.err
    assert "canary}" not in result.err
    assert "=canary" not in result.err
    assert not any("/oauth/" not in line for line in api.requests)


@pytest.mark.parametrize(
    "fields",
    [("a=1", "a=2"), ("a=1", "a[]=2"), ("a[]=1", "a[b]=2"), ("a[b]=1", "a=2"), ("a[][]=1",), ("a[]=1", "a[][b]=2")],
)
def test_fields_that_contradict_each_other(fields: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match="contradicts"):
        as_object((field, True) for field in fields)


def test_a_query_of_objects_is_refused() -> None:
    with pytest.raises(click.UsageError, match="'a'"):
        as_query({"a": {"b": 1}})
    assert as_query({"a": [True, 1, "x"], "b": False}) == {"a": ["true", 1, "x"], "b": "false"}


def test_which_api(api: Api, cyclr: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def path(*args: str) -> str:
        assert cyclr("api", "GET", "priceplans", *args).code == 0
        return api.requests[-1]

    config = tmp_path / "config.toml"
    config.touch(0o600)
    assert path() == "GET /api/partner/priceplans"
    config.write_text('[profiles.x]\napi = "V1"\n')
    assert path() == "GET /v1.0/priceplans"
    monkeypatch.setenv("CYCLR_API", "partner")
    assert path() == "GET /api/partner/priceplans"
    assert path("--account", "a") == "GET /v1.0/priceplans"  # nearer than the variable
    assert path("--api", "v1") == "GET /v1.0/priceplans"
    monkeypatch.setenv("CYCLR_API", "v2")
    result = cyclr("api", "GET", "priceplans")
    assert (result.code, result.err) == (2, "error: CYCLR_API: must be partner or v1\n")
    monkeypatch.delenv("CYCLR_API")
    config.write_text('[profiles.x]\napi = "v2"\n')
    result = cyclr("plans")
    assert result.code == 2
    assert "api in profile 'x' of" in result.err
    assert "must be partner or v1" in result.err


def test_a_write_is_never_repeated_and_a_read_is(api: Api, cyclr: Run) -> None:
    api.special["/v1.0/x"] = lambda _: None
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        before = len(api.requests)
        result = cyclr("api", method, "x", "--api", "v1")
        assert (result.code, result.out) == (1, "")
        assert "it is not known whether the server carried this out, so it was not repeated" in result.err
        assert sum(line == f"{method} /v1.0/x" for line in api.requests[before:]) == 1
    times = iter([web.Response(status=503, headers={"Retry-After": "0"}), web.json_response([])])
    api.special["/v1.0/x"] = lambda _: next(times)
    assert cyclr("api", "GET", "x", "--api", "v1").code == 0
    assert list(times) == []


def test_dry_run_shows_the_request_without_its_secrets(api: Api, cyclr: Run) -> None:
    body = {
        "AuthValue": "canary",
        "password": "canary",
        "Properties": [{"Name": "Url", "Value": "canary"}],
        "Steps": [{"Value": 1}],
        "Token": None,
    }
    Path("body.json").write_text(json.dumps(body))
    result = cyclr(
        "api", "PUT", "account/connectors/5", "--account", "a", "--input", "body.json", "-F", "x=1", "--dry-run"
    )
    shown = json.loads(result.out)
    assert (result.code, shown["method"], shown["headers"]) == (0, "PUT", {"X-Cyclr-Account": "a"})
    assert shown["url"] == f"http://127.0.0.1:{api.port}/v1.0/account/connectors/5?x=1"
    assert shown["body"] == {
        "AuthValue": "***",
        "password": "***",
        "Properties": [{"Name": "Url", "Value": "***"}],
        "Steps": [{"Value": 1}],
        "Token": None,
    }
    assert api.requests == []
    assert "canary" not in result.out + result.err


def test_nothing_of_the_session_is_shown(api: Api, cyclr: Run) -> None:
    def answer(_: web.BaseRequest) -> web.Response:
        response = web.json_response({"AuthValue": "asked for"}, headers={"X-Colour": "re\x9bd"})
        response.set_cookie("session", "canary-cookie")
        return response

    api.special["/v1.0/x"] = answer
    result = cyclr("api", "GET", "x", "--api", "v1", "-i", "-vv")
    assert json.loads(result.out) == {"AuthValue": "asked for"}
    assert "HTTP 200\n" in result.err
    assert "Set-Cookie: ***" in result.err
    assert r"X-Colour: re\x9bd" in result.err
    assert "canary" not in result.out + result.err
    assert SECRET not in result.err
    assert "asked for" not in result.err


def test_an_answer_that_is_not_json_is_not_lost(api: Api, cyclr: Run) -> None:
    api.special["/v1.0/x"] = lambda _: web.Response(text="<xml>\n\x1b[2J</xml>")
    result = cyclr("api", "GET", "x", "--api", "v1")
    assert (result.code, result.out) == (0, "<xml>\n\x1b[2J</xml>")
    assert "is not JSON" in result.err
    result = cyclr("api", "GET", "x", "--api", "v1", "--paginate")
    assert (result.code, json.loads(result.out)) == (1, [])


def test_lists_as_lines_and_files(api: Api, cyclr: Run, tmp_path: Path) -> None:
    assert [json.loads(line)["Id"] for line in cyclr("api", "GET", "priceplans", "-o", "jsonl").out.splitlines()] == [
        "1",
        "2",
    ]
    target = tmp_path / "plans.jsonl"
    assert cyclr("api", "GET", "priceplans", "--out", "plans.jsonl").code == 0
    assert len(target.read_text().splitlines()) == 2
    api.token_status = 400
    assert cyclr("api", "GET", "priceplans", "--out", "plans.jsonl").code == 4
    assert len(target.read_text().splitlines()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["plans.jsonl"]


@pytest.mark.parametrize(
    ("bodies", "code", "written"),
    [
        ([[{"Id": 1}, {"Id": 2}], [{"Id": 2}, {"Id": 3}], []], 0, [{"Id": 1}, {"Id": 2}, {"Id": 3}]),
        ([["a", "a"], ["a"], []], 0, ["a", "a", "a"]),
        ([[{"Id": 1}], [{"Id": 1}]], 1, [{"Id": 1}]),
        ([[{"Id": 1}], {"Id": 1}], 1, [{"Id": 1}]),
        ([[]], 0, []),
    ],
)
def test_pages_without_a_count(api: Api, cyclr: Run, bodies: list[Any], code: int, written: list[Any]) -> None:
    left = iter(bodies)
    api.special["/v1.0/x"] = lambda _: web.json_response(next(left))
    result = cyclr("api", "GET", "x", "--api", "v1", "--paginate")
    assert (result.code, json.loads(result.out)) == (code, written), result.err
    assert list(left) == []
    assert api.queries == [f"page={number}&pageSize=100" for number in range(1, len(bodies) + 1)]


@pytest.mark.parametrize("which", ["partner", "v1"])
def test_what_has_no_pages(api: Api, cyclr: Run, which: str) -> None:
    result = cyclr("api", "GET", "details", "--paginate", "--api", which)
    assert result.code == 0
    assert isinstance(json.loads(result.out), dict)
    assert "is not a list" in result.err


@pytest.mark.parametrize("page", ["0", "x", "1.5", "9999999999"])
def test_the_first_page_is_a_number(api: Api, cyclr: Run, page: str) -> None:
    result = cyclr("api", "GET", f"accounts?page={page}", "--paginate", "--api", "v1")
    assert result.code == 2
    assert "page: the first page must be a whole number" in result.err


def test_a_terminal_gets_it_indented_and_harmless(api: Api) -> None:
    code, seen = on_a_terminal("api", "GET", "priceplans")
    assert code == 0
    assert seen.splitlines()[:3] == ["[", "  {", '    "Id": "1",']
    assert json.loads(seen) == [{"Id": "1", "Name": "Free\x1b[2J"}, {"Id": "2", "Name": "Pro"}]
    assert "\x1b" not in seen
