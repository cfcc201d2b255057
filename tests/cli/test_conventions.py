"""What people and scripts may rely on, whatever the command."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

from cyclr_async.cli.app import app
from cyclr_async.cli.exit_codes import Exit
from cyclr_async.cli.options import Options
from tests.cli.cli_api import SECRET, Api, Run, call, commands, leaves, on_a_terminal, spawn

ID = f"{3:032x}"


LEAVES = list(leaves())
CALLS = [path for path in LEAVES if path[0] not in {"usage", "prices", "v1", "api", "simulate", "config", "completion"}]

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
PROMPTS = re.findall(r"^\$ (cyclr .*)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
EXAMPLES = [example for _, command in commands() for example in getattr(command, "examples", ())]

READS = [
    ("accounts", "list"),
    ("partner",),
    ("plans",),
    ("config", "show"),
    ("config", "check"),
    ("usage", "collect"),
    ("accounts", "create", "--name", "A"),
    ("accounts", "update", ID, "--name", "A"),
    ("token", "create", ID, "jo"),
    ("connectors", "install", ID, "C", "v1", "--installed-name", "I"),
]


def test_no_command_of_a_release_is_gone() -> None:
    # Scripts call these; new ones need no entry here, the table is where they stand.
    released = {
        "accounts list",
        "accounts create",
        "accounts update",
        "partner",
        "plans",
        "connectors install",
        "token create",
        "usage collect",
        "usage resume",
        "usage export",
        "usage status",
        "usage repair",
        "usage rekey",
        "simulate",
        "config show",
        "config check",
        "completion",
    }
    assert released <= {" ".join(path) for path in LEAVES}


@pytest.mark.parametrize("line", [*PROMPTS, *EXAMPLES])
def test_examples_are_commands(line: str) -> None:
    words = shlex.split(re.split(r" \| (?:jq|head)\b|\)\"$| > \S+$", line[line.index("cyclr ") :])[0], comments=True)[
        1:
    ]
    command: click.Command = app
    ctx: click.Context | None = None
    while isinstance(command, click.Group):
        name, *words = words
        ctx = click.Context(command, parent=ctx, info_name=name, obj=Options(), **app.context_settings)
        found = command.get_command(ctx, name)
        assert found is not None, line
        command = found
    assert command.make_context(command.name, words, parent=ctx).args == []


def test_the_document_lists_every_command() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert all(path[-1] in text and f"cyclr {path[0]}" in text for path in LEAVES)
    assert all(f"| {code.value} |" in text for code in Exit)


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_shows_two_examples_before_the_options(cyclr: Run, path: tuple[str, ...], flag: str) -> None:
    result = cyclr(*path, flag)
    before, _, _ = result.out.partition("Options:")
    assert (result.code, result.err) == (0, "")
    assert len(re.findall(r"^  .*\bcyclr ", before.partition("Examples:")[2], re.MULTILINE)) >= 2
    for option in ("--simulate", "--output", "--profile", "--quiet", "--no-color"):
        assert option in result.out


@pytest.mark.parametrize(
    ("args", "also"),
    [
        (["--help"], {"sqlite3", "attr", "yarl", "asyncio", "platformdirs"}),
        (["usage", "--help"], {"sqlite3", "attr", "yarl", "asyncio", "platformdirs"}),
        (["usage", "collect", "-h"], set()),
        (["accounts", "create", "-h"], {"sqlite3"}),
        (["--version"], {"sqlite3"}),
        (["completion", "zsh"], {"sqlite3"}),
    ],
)
def test_help_version_and_completion_start_without_aiohttp_and_rich(args: list[str], also: set[str]) -> None:
    code = (
        "import sys\n"
        "from cyclr_async.cli import main\n"
        f"code = main({args!r})\n"
        f"heavy = { ({'aiohttp', 'rich', 'cattrs'} | also)!r} & set(sys.modules)\n"
        "commands = [name for name in sys.modules if name.startswith('cyclr_async.cli.commands.')]\n"
        f"heavy |= {bool(also - {'sqlite3'})!r} and set(commands) or set()\n"
        "sys.exit(f'loaded: {heavy}' if heavy else code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_completion_of_a_word_starts_without_aiohttp_and_rich() -> None:
    code = (
        "import sys\n"
        "from cyclr_async.cli import main\n"
        "main([])\n"
        "sys.exit(f'loaded: {sys.modules}' if {'aiohttp', 'rich'} & set(sys.modules) else 0)\n"
    )
    env = {**os.environ, "_CYCLR_COMPLETE": "bash_complete", "COMP_WORDS": "cyclr usage co", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=60, env=env
    )
    assert (done.returncode, done.stdout.strip()) == (0, "plain,collect")


def test_version_names_what_a_bug_report_needs(cyclr: Run) -> None:
    out = cyclr("--version").out
    assert re.fullmatch(r"cyclr \d\S* \(Python 3\.\d+\.\d+\S*, aiohttp 3\.\S+, .+\)\n", out)


@pytest.mark.parametrize("missing", ["click", "platformdirs", "rich"])
def test_a_missing_extra_is_one_clear_line(missing: str, unwired: Api) -> None:
    code = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from cyclr_async.cli import main\n"
        "sys.exit(main(['plans', '-o', 'table']))\n"
    )
    env = {**os.environ, **unwired.env}
    del env["CYCLR_CONFIG"]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=60, env=env
    )
    assert done.returncode == 2
    assert done.stderr == f"cyclr: {missing} is not installed; run: pip install 'cyclr-async[cli]'\n"


@pytest.mark.parametrize("args", READS, ids=" ".join)
@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_standard_output_carries_data_only(api: Api, cyclr: Run, args: tuple[str, ...], form: str) -> None:
    api.names[2] = 'quo"te\n\x1b[2J \u202e \ud800 =1+1'
    api.missing = {4}
    result = cyclr(*args, "-o", form, "-v")
    values = [json.loads(result.out)] if form == "json" else [json.loads(line) for line in result.out.splitlines()]
    assert values
    assert result.out.isprintable() or all(line.isprintable() for line in result.out.splitlines())


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not here")
@pytest.mark.parametrize("args", READS, ids=" ".join)
def test_jq_parses_always(api: Api, cyclr: Run, args: tuple[str, ...]) -> None:
    api.names[2] = 'quo"te\n\x1b[2J \u202e =1+1'
    result = cyclr(*args, "-o", "json")
    done = subprocess.run(["jq", "."], input=result.out, capture_output=True, check=False, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("args", READS, ids=" ".join)
def test_every_format_has_the_same_names(api: Api, cyclr: Run, args: tuple[str, ...]) -> None:
    value = json.loads(cyclr(*args, "-o", "json").out)
    first = value[0] if isinstance(value, list) else value
    assert cyclr(*args, "-o", "csv").out.splitlines()[0].split(",") == list(first)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in first)


def test_a_failed_list_leaves_parsable_json(api: Api, cyclr: Run) -> None:
    api.token_status = 400
    result = cyclr("accounts", "list", "-o", "json")
    assert (result.code, json.loads(result.out)) == (4, [])


@pytest.mark.parametrize(("suffix", "start"), [("csv", "id,name"), ("json", "[\n{"), ("jsonl", '{"id"'), ("txt", " ")])
def test_out_takes_the_format_from_the_suffix(api: Api, cyclr: Run, tmp_path: Path, suffix: str, start: str) -> None:
    target = tmp_path / f"plans.{suffix}"
    result = cyclr("plans", "--out", target.name)
    assert (result.code, result.out) == (0, "")
    assert target.read_text().startswith(start)
    assert target.stat().st_mode & 0o777 == 0o600


def test_out_is_replaced_only_by_something_whole(api: Api, cyclr: Run, tmp_path: Path) -> None:
    target = tmp_path / "plans.csv"
    target.write_text("before")
    api.token_status = 400
    assert cyclr("plans", "--out", "plans.csv").code == 4
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["plans.csv"]


@pytest.mark.parametrize(
    "args",
    [
        ("plans", "-o", "csv"),
        ("plans", "-o", "table"),
        ("usage", "collect", "-o", "json"),
        ("usage", "collect", "-o", "csv"),
    ],
)
def test_out_destroys_nothing_that_is_no_regular_file(
    api: Api, cyclr: Run, tmp_path: Path, args: tuple[str, ...]
) -> None:
    fifo, link, real = tmp_path / "fifo", tmp_path / "link", tmp_path / "real"
    os.mkfifo(fifo)
    real.write_text("old")
    real.chmod(0o644)
    link.symlink_to("real")
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(fifo.read_bytes()))
    reader.start()
    for target in ("/dev/null", str(fifo), str(link)):
        result = cyclr(*args, "--out", target)
        assert (result.code, result.out) == (0, ""), result.err
    reader.join(10)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o644
    assert len(real.read_bytes()) == len(seen[0]) > 20
    assert cyclr(*args, "--out", str(tmp_path)).code == 2


def test_out_on_standard_output_goes_where_it_goes(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("ab") as stream:
        assert spawn("plans", "-o", "csv", "--out", "/dev/stdout", stdout=stream).wait(60) == 0
    assert log.read_text().splitlines() == ["before", "id,name", "1,Free\x1b[2J", "2,Pro"]


def test_an_unknown_suffix_asks_for_the_format(api: Api, cyclr: Run) -> None:
    result = cyclr("plans", "--out", "plans.xls")
    assert result.code == 2
    assert "-o table|json|jsonl|csv" in result.err


def test_options_stand_before_or_after_the_command(api: Api, cyclr: Run) -> None:
    assert cyclr("-o", "csv", "plans").out == cyclr("plans", "-o", "csv").out
    assert cyclr("-o", "json", "plans", "-o", "csv").out == cyclr("plans", "-o", "csv").out


@pytest.mark.parametrize(
    ("args", "code"),
    [(["plans"], 0), (["plans", "--nope"], 2), (["plan"], 2), (["accounts", "create"], 2), (["usage", "status"], 1)],
)
def test_exit_codes(api: Api, cyclr: Run, args: list[str], code: int) -> None:
    result = cyclr(*args)
    assert result.code == code
    assert "Traceback" not in result.err
    assert bool(result.err) == bool(code)


@pytest.mark.parametrize("args", [(), ("accounts",), ("usage",)])
def test_half_a_command_shows_its_help(cyclr: Run, args: tuple[str, ...]) -> None:
    result = cyclr(*args)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"Usage: {' '.join(['cyclr', *args])} ")
    assert "error:" not in result.err


def test_a_mistyped_command_gets_a_suggestion(cyclr: Run) -> None:
    assert "'plans'" in cyclr("plan").err


def test_no_credentials_is_4_and_says_what_to_do(cyclr: Run, tmp_path: Path) -> None:
    result = cyclr("plans")
    assert (result.code, result.out) == (4, "")
    for hint in ("CYCLR_CLIENT_ID", "CYCLR_CLIENT_SECRET", str(tmp_path / "config.toml"), "--simulate"):
        assert hint in result.err
    assert len(result.err.splitlines()) == 1


def test_refused_credentials_are_4(api: Api, cyclr: Run) -> None:
    api.token_status = 400
    result = cyclr("plans")
    assert result.code == 4
    assert "invalid_client" in result.err
    assert SECRET not in result.err


def test_errors_name_the_request_and_show_a_traceback_only_on_demand(api: Api, cyclr: Run) -> None:
    api.token_status = 400
    quiet, loud = cyclr("plans"), cyclr("plans", "--debug")
    assert re.fullmatch(r"error: .+\(request [0-9a-f-]+\)\n", quiet.err)
    assert "Traceback" in loud.err
    assert SECRET not in loud.err


def test_a_closed_pipe_is_quiet(api: Api) -> None:
    api.names = [f"Account {number} {'x' * 200}" for number in range(2000)]
    command = spawn("accounts", "list", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.readline()
    command.stdout.close()
    error = command.stderr.read()
    command.stderr.close()
    assert (command.wait(30), error) == (141, b"")


@pytest.mark.parametrize("args", [*CALLS, *READS], ids=" ".join)
def test_simulate_works_everywhere_and_says_so(cyclr: Run, args: tuple[str, ...]) -> None:
    sample = json.loads(cyclr("accounts", "list", "--simulate", "--limit", "1").out)["id"]
    filled = {
        "accounts update": (sample, "--name", "A"),
        "token create": (sample, "jo"),
        "accounts create": ("--name", "A"),
        "connectors install": (sample, "Mailchimp", "v1", "--installed-name", "I", "--api-key-file", "key"),
    }
    Path("key").write_text("abc")
    name = " ".join(args[:2])
    result = cyclr(*args[:2], *filled[name], "--simulate") if name in filled else cyclr(*args, "--simulate")
    assert (result.code, bool(result.out)) == (0, True), result.err
    assert "simulated: 50 invented accounts" in result.err or args == ("config", "show")


@pytest.mark.parametrize("value", ["1", "true"])
def test_simulate_by_environment(cyclr: Run, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CYCLR_SIMULATE", value)
    result = cyclr("accounts", "list", "--simulate-accounts", "3")
    assert len(result.out.splitlines()) == 3
    assert "simulated: 3 invented accounts" in result.err


def test_quiet_says_nothing_but_data(cyclr: Run) -> None:
    result = cyclr("plans", "--simulate", "-q")
    assert (result.code, result.err) == (0, "")
    assert result.out


def test_logs_go_to_standard_error_without_secrets(api: Api, cyclr: Run) -> None:
    result = cyclr("plans", "-vv", "--log-json")
    entries = [json.loads(line) for line in result.err.splitlines()]
    assert result.code == 0
    assert len(entries) >= 3
    assert all({"time", "level", "logger", "message"} <= entry.keys() for entry in entries)
    assert "canary" not in result.out + result.err


def test_a_terminal_gets_a_table(api: Api) -> None:
    code, seen = on_a_terminal("plans", env={"NO_COLOR": "1"})
    assert code == 0
    assert "Free\\x1b[2J" in seen
    assert "\x1b[2J" not in seen


@pytest.mark.parametrize("form", ["table", "csv", "json", "jsonl"])
def test_names_cannot_act_on_a_terminal(api: Api, form: str) -> None:
    api.names = ["\x1b]0;owned\x07", "\x1b[2Jgone", "\x9b31mred", "abc\u202ecba", "\ud800", "a\u2028b\rc", "=1+1"]
    code, seen = on_a_terminal("accounts", "list", "-o", form, env={"NO_COLOR": "1", "COLUMNS": "200"})
    assert code == 0
    for attack in ("\x1b]", "\x1b[2J", "\x9b", "\u202e", "\u2028", "\x07"):
        assert attack not in seen
    assert re.sub(r"\x1b\[[01]m|\r\n", "", seen).replace("\r", "").isprintable()
    assert "owned" in seen


def test_colour_is_for_terminals_that_want_it(api: Api) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    cases: list[tuple[tuple[str, ...], dict[str, str]]]
    cases = [((), {}), (("--no-color",), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})]
    found = []
    for number, (extra, env) in enumerate(cases):
        _, seen = on_a_terminal("usage", "collect", "--store", f"{number}.db", *extra, env=env)
        found.append(bool(colour.search(seen)))
    assert found == [True, False, False, False]


def test_ascii_terminals_get_ascii(api: Api) -> None:
    api.names[0] = "Zoë ✓"
    result = call("usage", "collect", "-o", "table", env={"PYTHONIOENCODING": "ascii"})
    assert result.code == 0
    assert (result.out + result.err).isascii()
    assert "####" in result.out
    assert r"Zo\xeb \u2713" in result.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cyclr: Run, shell: str) -> None:
    result = cyclr("completion", shell)
    assert result.code == 0
    assert "_CYCLR_COMPLETE" in result.out
