"""The table of commands agrees with the commands."""

from __future__ import annotations

import subprocess
import sys

import pytest

import cyclr_async.cli.commands
from cyclr_async.cli.command_table import COMMANDS
from cyclr_async.cli.options import Command, Group
from tests.cli.cli_api import Run, commands


def test_every_entry_loads_and_nothing_else_is_there() -> None:
    found = {" ".join(path): command for path, command in commands() if path}
    assert found.keys() == COMMANDS.keys()
    for path, command in found.items():
        entry = COMMANDS[path]
        assert isinstance(command, Command if entry.target else Group), path
        # The log and the errors name a command by what click calls it.
        assert command.name == path.rpartition(" ")[2], path


def test_the_help_of_the_table_is_that_of_the_commands() -> None:
    shown = {" ".join(path): command.get_short_help_str(1000) for path, command in commands() if path}
    groups = {path for path, entry in COMMANDS.items() if not entry.target}
    assert {path: entry.help for path, entry in COMMANDS.items() if path not in groups} == {
        path: text for path, text in shown.items() if path not in groups
    }
    assert all(entry.help.endswith(".") for entry in COMMANDS.values())
    assert all(bool(entry.example) != bool(entry.target) for entry in COMMANDS.values())


def test_a_group_comes_before_its_commands() -> None:
    seen: set[str] = set()
    for path in COMMANDS:
        parent = path.rpartition(" ")[0]
        assert not parent or (parent in seen and not COMMANDS[parent].target), path
        seen.add(path)


def test_no_module_of_a_command_is_left_out() -> None:
    (folder,) = cyclr_async.cli.commands.__path__
    named = {entry.target.partition(":")[0] for entry in COMMANDS.values() if entry.target}
    code = f"import pkgutil; print(*(m.name for m in pkgutil.iter_modules([{folder!r}])))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert named == set(there.stdout.split())


@pytest.mark.parametrize("path", [path for path, entry in COMMANDS.items() if not entry.target])
def test_the_help_of_a_group_lists_its_commands(cyclr: Run, path: str) -> None:
    result = cyclr(*path.split(), "--help")
    listed = result.out.partition("Commands:")[2].partition("Options:")[0]
    below = [name.rpartition(" ")[2] for name in COMMANDS if name.rpartition(" ")[0] == path]
    assert (result.code, result.err) == (0, "")
    assert f"Examples:\n  {COMMANDS[path].example}\n" in result.out
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] == below


@pytest.mark.parametrize(("args", "meant"), [(["usage", "colect"], "collect"), (["conectors"], "connectors")])
def test_a_mistyped_name_finds_commands_that_are_not_loaded(cyclr: Run, args: list[str], meant: str) -> None:
    result = cyclr(*args)
    assert (result.code, result.out) == (2, "")
    assert f"Did you mean '{meant}'?" in result.err


def test_no_command_imports_what_its_help_does_without() -> None:
    modules = sorted({f"cyclr_async.cli.commands.{entry.target.partition(':')[0]}" for entry in COMMANDS.values()})
    code = (
        "import importlib, sys\n"
        f"for name in {[name for name in modules if not name.endswith('.')]!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = {'aiohttp', 'rich', 'cattrs'} & set(sys.modules)\n"
        "    assert not heavy, (name, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
