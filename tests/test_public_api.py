"""The public names are complete, and importing them is cheap.

Run by hand, ``python tests/test_public_api.py`` prints what the import costs on this machine.
"""

from __future__ import annotations

import inspect
import json
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

import cyclr_async
from cyclr_async import Account, AccountUsage, AsyncPartnerSession, PartnerDetails, PricePlan, SignInToken, errors, http

# Those of the design, which other people's code relies on.
PROMISED = """
    AsyncPartnerSession Region Timeouts RetryPolicy Limits UNSET StaticToken ClientCredentials PasswordGrant Account
    AccountUsage PartnerDetails PricePlan SignInToken CyclrError ConfigurationError SessionClosedError TransportError
    DeadlineExceededError OutcomeUnknownError DecodeError AuthenticationError ResponseError
"""

EAGER = f"from cyclr_async import {', '.join(name for name in cyclr_async.__all__ if name != '__version__')}"

# What would make a web service pay for bulk work, for the command line or for tests.
HEAVY = {"rich", "click", "platformdirs", "sqlite3", "duckdb", "pytest", "trustme", "multiprocessing.pool", "pydantic"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after running the code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_all_is_complete_sorted_and_importable() -> None:
    assert set(PROMISED.split()) <= set(cyclr_async.__all__)
    assert len(cyclr_async.__all__) == len(set(cyclr_async.__all__))
    for name in cyclr_async.__all__:
        assert getattr(cyclr_async, name) is not None
    assert set(dir(cyclr_async)) == set(cyclr_async.__all__)
    assert set(errors.__all__) - {"Sent"} <= set(cyclr_async.__all__)


def test_a_star_import_brings_exactly_these() -> None:
    names: dict[str, object] = {}
    exec("from cyclr_async import *", names)
    del names["__builtins__"]
    assert set(names) == set(cyclr_async.__all__)


def test_what_is_not_there_is_said_as_usual() -> None:
    with pytest.raises(AttributeError, match="'cyclr_async' has no attribute 'Nonsense'"):
        cyclr_async.Nonsense  # noqa: B018
    with pytest.raises(ImportError, match="Nonsense"):
        exec("from cyclr_async import Nonsense")


def test_the_names_say_where_they_live_and_what_they_are() -> None:
    for name in cyclr_async.__all__:
        value = getattr(cyclr_async, name)
        if inspect.isclass(value):
            assert value.__module__.startswith("cyclr_async.")
            assert inspect.getdoc(value), name


@pytest.mark.parametrize("model", [Account, AccountUsage, PartnerDetails, PricePlan, SignInToken])
def test_models_take_keywords_only_and_have_slots(model: type) -> None:
    assert not hasattr(model, "__dict__") or "__dict__" not in dir(model)
    kinds = {parameter.kind for parameter in inspect.signature(model).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def public_methods() -> list[object]:
    session = AsyncPartnerSession("bearer")
    owners = [session.accounts, session.connectors, session.priceplans, session.tokens, session]
    return [
        member
        for owner in owners
        for name, member in inspect.getmembers(type(owner), inspect.isfunction)
        if not name.startswith("_")
    ]


def test_every_call_can_be_bounded_in_time() -> None:
    without = {
        member.__qualname__
        for member in public_methods()
        if inspect.isfunction(member)
        and (inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member))
        and "timeout" not in inspect.signature(member).parameters
    }
    assert without == {"AsyncPartnerSession.close"}


def test_the_version_is_one() -> None:
    assert version("cyclr-async") == cyclr_async.__version__


def test_types_are_shipped() -> None:
    assert (Path(cyclr_async.__file__).parent / "py.typed").is_file()


def test_the_package_itself_imports_nothing() -> None:
    bare = loaded_by("")
    extra = loaded_by("import cyclr_async") - bare
    assert {name for name in extra if name.split(".")[0] not in sys.stdlib_module_names} == {
        "cyclr_async",
        "cyclr_async._version",
    }
    assert len(extra) < 30


def test_every_public_name_together_loads_nothing_heavy() -> None:
    base = loaded_by("import aiohttp")
    extra = loaded_by(EAGER) - base
    assert extra & HEAVY == set()
    assert not any(name.startswith(("cyclr_async.cli", "cyclr_async.simulator")) for name in extra)
    foreign = {name.split(".")[0] for name in extra} - set(sys.stdlib_module_names)
    assert foreign <= {"cyclr_async", "cattrs", "cattr", "orjson", "typing_extensions", "attr", "attrs"}
    # No clock is trusted on a shared machine, so the measure is what costs the time: modules.
    assert len(extra) < 150


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_the_help_of_the_command_imports_neither_aiohttp_nor_rich(flag: str) -> None:
    loaded = loaded_by(
        f"import sys\nsys.argv = ['cyclr', {flag!r}]\nimport contextlib, io\n"
        "from cyclr_async.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try:\n        main()\n    except SystemExit:\n        pass"
    )
    assert loaded & {"aiohttp", "rich", "sqlite3", "asyncio"} == set()
    assert "click" in loaded


def test_a_submodule_can_be_imported_alone() -> None:
    assert "aiohttp" not in loaded_by("import cyclr_async.errors, cyclr_async.partner, cyclr_async.config")
    assert http.__name__ == "cyclr_async.http"


def measure(rounds: int = 15) -> dict[str, tuple[float, float]]:
    """Milliseconds of a fresh interpreter by the wall clock and of the processor: medians of interleaved rounds."""
    codes = {"python": "", "aiohttp": "import aiohttp", "cyclr_async": EAGER}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in codes}
    for _ in range(rounds):
        for name, code in codes.items():
            begun, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
            times[name].append(((time.perf_counter() - begun) * 1000, used * 1000))
    return {
        name: (statistics.median(wall for wall, _ in values), statistics.median(used for _, used in values))
        for name, values in times.items()
    }


if __name__ == "__main__":
    medians = measure()
    print(f"{'':12} {'wall':>9} {'processor':>9}")
    for label, (wall, used) in medians.items():
        print(f"{label:12} {wall:6.1f} ms {used:6.1f} ms")
    more = [ours - theirs for ours, theirs in zip(medians["cyclr_async"], medians["aiohttp"], strict=True)]
    print(f"cyclr_async, every public name, costs {more[0]:.1f} ms ({more[1]:.1f} ms of processor) more than aiohttp")
