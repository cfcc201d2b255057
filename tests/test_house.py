"""The house: which room may use which, how long a module may be, and what every module has."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import cyclr_async

PACKAGE = Path(cyclr_async.__file__).parent
PROJECT = Path(__file__).parent.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 600  # lines; a longer module is hardly about one thing

# What every room may use.
BASE = frozenset({"errors", "secret", "hosts", "settings", "_version"})
WIRE = BASE | {"wire"}
# The parts of http that describe and decide, without aiohttp and without a network.
GROUND = {"http.request", "http.classify", "http.clock", "http.events", "http.retry", "http.wait_queue"}
AUTH = WIRE | GROUND | {"auth", "config"}
RESOURCES = WIRE | GROUND | {"http.resource", "auth", "checks", "config"}

ROOMS: dict[str, frozenset[str]] = {
    # A room and the doors out of it. The longest name that fits a module is its room.
    "_version": frozenset(),
    "errors": frozenset(),
    "secret": frozenset(),
    "hosts": frozenset({"errors"}),
    "file_lock": frozenset(),
    "settings": frozenset(),
    "checks": BASE,
    "config": BASE | {"checks"},
    "environment": BASE | {"config", "auth"},
    "wire": WIRE,
    "auth": AUTH,
    "auth.providers": BASE,
    "http": AUTH | {"http", "checks"},
    "http.request": WIRE,
    "http.classify": BASE,
    "http.retry": BASE | {"config", "http.request", "http.classify"},
    "http.limiter": BASE | {"http.clock", "http.wait_queue"},
    "http.wait_queue": frozenset(),
    "http.resource": RESOURCES,
    "http.engine": WIRE | GROUND | {"http.engine", "http.timeouts", "checks", "config"},
    "partner": RESOURCES | {"partner"},
    "v1": RESOURCES | {"v1", "http.raw_request", "partner.sign_in_token"},  # the one answer that both APIs share
    # What it shares are the token and the turns; it knows nothing of requests, nor of a network but that of Redis.
    "shared": AUTH | {"shared", "checks", "http.limiter", "file_lock"},
    "session": WIRE | {"partner", "v1", "http", "checks", "config", "auth", "environment"},
    "usage": WIRE
    | GROUND
    | {"usage", "partner", "v1", "checks", "config", "auth", "http.limiter", "http.resource", "http.timeouts"}
    | {"file_lock"},
    "usage.months.periods": frozenset(),
    # The page draws what it is given: only its door to statements knows where that comes from.
    "usage.page": BASE | {"usage.page", "usage.export.atomic_file"},
    "usage.page.statement_page": BASE | {"usage.page", "usage.months"},
    "simulator": WIRE | {"simulator"},
    "simulator.v1": frozenset({"wire.unset", "simulator"}),
    "cli": WIRE
    | {"cli", "usage", "partner", "session", "config", "auth", "environment", "http.request", "http.resource", ""}
    # The package of the simulator loads what it names on first use, so it costs a command nothing.
    | {"simulator"},
    "": frozenset({"_version"}),
}

LAZY: dict[str, frozenset[str]] = {
    # What a function may import besides, because most users of the module never need it.
    "partner": frozenset({"usage"}),
    "v1": frozenset({"usage"}),
    "simulator": frozenset({""}),
    "cli": frozenset({"v1"}),
    "session": frozenset({"shared"}),
    # A worker makes its session there; the factory of that is what it is sent.
    "usage": frozenset({"session"}),
}

PURE = (
    "usage.months.periods",
    "wire",
    "http.classify",
    "http.retry",
    "http.limiter",
    "http.wait_queue",
    "http.request",
    "errors",
    "checks",
    "config",
    "secret",
    "hosts",
    "settings",
)
IMPURE = {
    "aiohttp",
    "socket",
    "ssl",
    "time",
    "random",
    "sqlite3",
    "subprocess",
    "os",
    "pathlib",
    "threading",
    "logging",
}
DEPENDENCIES = {"aiohttp", "attr", "attrs", "cattrs", "yarl"}
EXTRAS = {
    "cli": {"click", "rich", "platformdirs"},
    "simulator": {"pytest"},
    "wire": {"orjson"},
    "shared": {"redis"},
    "usage": {"duckdb", "orjson", "xlsxwriter"},
}


def name_of(path: Path) -> str:
    """The name of a module below the package; ``""`` is the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = [name_of(path) for path in MODULES]


def room_of(name: str) -> str:
    parts = name.split(".")
    candidates = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((candidate for candidate in candidates if candidate in ROOMS), "")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(nodes: list[ast.stmt], *, lazily: bool, inside: str = "") -> Iterator[str]:
    """What is imported, by absolute name: on import of the module, or else when its functions run.

    Args:
        nodes: the statements of the module.
        lazily: look into functions, and only there.
        inside: the package that relative imports start from.
    """
    for node in nodes:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.If(test=ast.Attribute(attr="TYPE_CHECKING")):
                yield from imported(node.orelse, lazily=lazily, inside=inside)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if lazily:
                    yield from imported(node.body, lazily=False, inside=inside)
                    yield from imported(node.body, lazily=True, inside=inside)
            case ast.Import() if not lazily:
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom() if not lazily:
                source = [*inside.split(".")[: 1 - node.level or None], *filter(None, [node.module])]
                for alias in node.names:
                    yield f"{'.'.join(source) if node.level else node.module}.{alias.name}"
            case _:
                for field in ("body", "orelse", "finalbody"):
                    yield from imported(getattr(node, field, []), lazily=lazily, inside=inside)
                for handler in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
                    yield from imported(handler.body, lazily=lazily, inside=inside)


def imports_of(path: Path, *, lazily: bool) -> Iterator[str]:
    inside = ".".join(["cyclr_async", *path.relative_to(PACKAGE).parent.parts])
    return imported(tree_of(path).body, lazily=lazily, inside=inside)


def modules_of(targets: Iterator[str]) -> set[str]:
    """The modules of this package among the targets, by their names below it."""
    found = set()
    for target in targets:
        parts = target.split(".")
        if parts[0] == "cyclr_async":
            inner = parts[1:]
            while inner and ".".join(inner) not in NAMES:
                inner.pop()
            found.add(".".join(inner))
    return found


def allowed(module: str, doors: frozenset[str]) -> bool:
    return any(module == door or (door and module.startswith(f"{door}.")) for door in doors)


def foreign(targets: Iterator[str]) -> set[str]:
    return {target.split(".")[0] for target in targets} - {"cyclr_async"} - set(sys.stdlib_module_names)


def wrong_doors(path: Path) -> set[str]:
    name = name_of(path)
    room = room_of(name)
    used = modules_of(imports_of(path, lazily=False)) - {name}
    # A package may gather what is in its own room.
    wrong = {module for module in used if not allowed(module, ROOMS[room]) and not module.startswith(f"{name}.")}
    return wrong - ({""} if room == "" else set())


def wrong_lazy_doors(path: Path) -> set[str]:
    name = name_of(path)
    room = room_of(name)
    doors = ROOMS[room] | LAZY.get(room, frozenset()) | LAZY.get(name.split(".")[0], frozenset())
    used = modules_of(imports_of(path, lazily=True)) - {name}
    return {module for module in used if not allowed(module, doors)}


def wrong_dependencies(path: Path) -> set[str]:
    everything = DEPENDENCIES | EXTRAS.get(name_of(path).split(".")[0], set())
    return set().union(*(foreign(imports_of(path, lazily=lazily)) - everything for lazily in (False, True)))


def impurities(path: Path) -> set[str]:
    targets = [target for lazily in (False, True) for target in imports_of(path, lazily=lazily)]
    return {target.split(".")[0] for target in targets} & IMPURE


def found_in(check: Callable[[Path], object], paths: list[Path] = MODULES) -> dict[str, object]:
    """What a check finds, by module: one test for all modules, which names each that is wrong."""
    assert paths
    return {name_of(path): found for path in paths if (found := check(path))}


def test_every_import_goes_through_a_door() -> None:
    assert found_in(wrong_doors) == {}


def test_a_function_imports_no_more_than_is_agreed() -> None:
    assert found_in(wrong_lazy_doors) == {}


def test_dependencies_stay_where_they_belong() -> None:
    assert found_in(wrong_dependencies) == {}


def test_pure_rooms_touch_nothing() -> None:
    assert found_in(impurities, [path for path in MODULES if room_of(name_of(path)) in PURE]) == {}


def test_only_the_engine_knows_aiohttp() -> None:
    users = {
        name_of(path)
        for path in MODULES
        for lazily in (False, True)
        if "aiohttp" in foreign(imports_of(path, lazily=lazily))
    }
    # The simulator has a server of aiohttp's, which is another matter.
    assert {name for name in users if not name.startswith(("http.engine.", "simulator"))} == set()
    assert "http.engine.direct" in users


def test_the_simulator_knows_nothing_of_the_client() -> None:
    wrong = {
        (name_of(path), module)
        for path in MODULES
        if name_of(path).startswith("simulator")
        for lazily in (False, True)
        for module in modules_of(imports_of(path, lazily=lazily))
        if module.split(".")[0] in {"session", "http", "partner", "v1", "auth", "usage", "cli"}
    }
    assert wrong == set()


def test_the_rule_sees_a_wrong_import() -> None:
    body = ast.parse(
        "import aiohttp\nfrom cyclr_async.http.engine.pool import Pool\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from cyclr_async import cli\n"
        "try:\n    import orjson\nexcept ImportError:\n    from cyclr_async import usage\n"
        "def late():\n    if 1:\n        from cyclr_async.session import AsyncPartnerSession\n"
        "class A:\n    def b(self):\n        def c():\n            import rich\n"
    ).body
    assert modules_of(imported(body, lazily=False)) == {"http.engine.pool", "usage"}
    assert modules_of(imported(body, lazily=True)) == {"session"}
    assert foreign(imported(body, lazily=False)) == {"aiohttp", "orjson"}
    assert foreign(imported(body, lazily=True)) == {"rich"}
    assert not allowed("http.engine.pool", ROOMS["partner"])
    assert allowed("http.request", ROOMS["partner"])
    near = ast.parse("from . import usage\nfrom .domain import World\nfrom ..session import x").body
    assert modules_of(imported(near, lazily=False, inside="cyclr_async.simulator")) >= {"simulator.domain", "session"}
    assert not allowed("session", ROOMS["simulator"])


def circle_of(graph: dict[str, set[str]]) -> list[str]:
    """The first circle of modules that import each other when they are loaded; empty when there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other() -> None:
    graph = {name_of(path): modules_of(imports_of(path, lazily=False)) - {name_of(path)} for path in MODULES}
    assert circle_of(graph) == []
    assert circle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def test_no_module_is_long() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def undocumented(path: Path) -> list[str]:
    """What is wrong with the docstring of a module, its ``__all__`` and the docstrings of what that lists."""
    tree = tree_of(path)
    wrong = [] if ast.get_docstring(tree) else ["it has no docstring"]
    definitions = [
        node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    ]
    public = {node.name for node in definitions if not node.name.startswith("_")}
    listed = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    ]
    if not listed:
        return wrong + (["public names need an __all__"] if public else [])
    (value,) = listed
    names = ast.literal_eval(value)
    if names != list(dict.fromkeys(names)):
        wrong.append("a name comes twice in __all__")
    documented = {node.name for node in definitions if ast.get_docstring(node)}
    bare = {node.name for node in definitions if node.name in names} - documented
    return wrong + [f"{name} has no docstring" for name in sorted(bare)]


def test_every_module_says_what_it_is_and_what_it_offers(tmp_path: Path) -> None:
    assert found_in(undocumented) == {}
    wrong = tmp_path / "wrong.py"
    wrong.write_text('__all__ = ["f", "f"]\ndef f(): ...\n', encoding="utf-8")
    assert undocumented(wrong) == ["it has no docstring", "a name comes twice in __all__", "f has no docstring"]


def test_no_broad_except_passes_in_silence() -> None:
    silent = []
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or (
                    isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}
                )
                if broad and all(isinstance(inner, ast.Pass) for inner in node.body):
                    silent.append(f"{name_of(path)}:{node.lineno}")
    assert silent == []


def texts() -> list[Path]:
    folders = [PROJECT / "cyclr_async", PROJECT / "tests", PROJECT / "docs", PROJECT / "benchmarks"]
    found = [
        path for folder in folders if folder.is_dir() for path in folder.rglob("*") if path.suffix in {".py", ".md"}
    ]
    return [*found, *PROJECT.glob("*.md")]


def test_nothing_is_left_for_later() -> None:
    # Put together here, so that this file is not one of the finds.
    words = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
    assert [str(path) for path in texts() if words.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.skipif(not (PROJECT / "CHANGELOG.md").is_file(), reason="only in a checkout")
def test_the_version_is_the_newest_of_the_changelog() -> None:
    entries = re.findall(r"^## \[?(\d[^\]\s]*)", (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert entries[:1] == [cyclr_async.__version__]
