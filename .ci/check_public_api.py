"""Compare the public names of this tree with those of the last release: what breaks must be in the changelog.

Usage: ``python .ci/check_public_api.py``; needs griffe and the history of the repository.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import griffe

ROOT: Final = Path(__file__).resolve().parent.parent
RELEASE: Final = "de284b4"
"""The commit of the last release, 0.1.0."""
PUBLIC: Final = ("cyclr_async", "cyclr_async.usage", "cyclr_async.simulator")
"""The modules whose names are promised; everything else is internal."""


def _homes(module: griffe.Module) -> dict[str, str]:
    """Return where each public name of a module is defined, from its imports for type checkers."""
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(module.source)):
        if isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                package = module.path.split(".")[: len(module.path.split(".")) - node.level + 1]
                origin = ".".join([*package, *([node.module] if node.module else [])])
            found.update({alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names})
    return found


def _object(root: griffe.Module, path: str) -> griffe.Object | griffe.Alias | None:
    relative = path.split(".")[1:]
    try:
        found = root[".".join(relative)] if relative else root
        return found.final_target if isinstance(found, griffe.Alias) else found
    except (KeyError, griffe.AliasResolutionError):
        return None


def breakages(old: griffe.Module, new: griffe.Module) -> Iterator[str]:
    """Yield one line for each public name that is gone or takes other arguments."""
    for name in PUBLIC:
        before, after = _object(old, name), _object(new, name)
        if before is None or after is None:
            yield f"{name}: the module is gone"
            continue
        for public in before.exports or ():
            wanted = f"{name}.{public}"
            mine, theirs = _homes(before).get(str(public)), _homes(after).get(str(public))
            was = _object(old, mine or wanted)
            now = _object(new, theirs or wanted)
            if now is None:
                yield f"{wanted}: the name is gone"
            elif was is not None:
                for breakage in griffe.find_breaking_changes(was, now):
                    inner = breakage.obj.path.removeprefix(was.path).removeprefix(now.path)
                    yield f"{wanted}{inner}: {breakage.kind.value}"


def main() -> int:
    """Print what breaks and whether the changelog names it; 1 when it does not."""
    search = [str(ROOT)]
    old = griffe.load_git("cyclr_async", ref=RELEASE, repo=ROOT, search_paths=["."])
    new = griffe.load("cyclr_async", search_paths=search)
    assert isinstance(old, griffe.Module)
    assert isinstance(new, griffe.Module)
    unreleased = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## [")[1]
    silent = 0
    for line in dict.fromkeys(breakages(old, new)):
        path = line.split(":")[0].removesuffix(".__init__")  # whoever reads of a constructor looks for its class
        named = path.rpartition(".")[2].partition("(")[0] in unreleased
        silent += not named
        print(f"{'in the changelog' if named else 'NOT IN THE CHANGELOG'}: {line}")
    return int(silent > 0)


if __name__ == "__main__":
    subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", RELEASE], check=True)
    sys.exit(main())
