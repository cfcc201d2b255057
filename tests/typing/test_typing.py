"""A type checker accepts what is right and finds what is wrong, in strict mode, as a user of the package sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="belongs to the lint group")

HERE = Path(__file__).parent


def mypy(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    # Without the settings of this project, which a user does not have.
    arguments = ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary", str(path)]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *arguments], capture_output=True, text=True, timeout=110, cwd=HERE, check=False
    )


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("name", ["samples_right.py", "samples_wrong.py"])
def test_samples(name: str, cache: Path) -> None:
    done = mypy(HERE / name, cache)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_mistakes_are_found_and_not_only_ignored(cache: Path, tmp_path: Path) -> None:
    lines = (HERE / "samples_wrong.py").read_text(encoding="utf-8").splitlines()
    bare = [line.partition("  # type: ignore")[0] for line in lines]
    marked = {number for number, (line, cut) in enumerate(zip(lines, bare, strict=True), 1) if line != cut}
    copy = tmp_path / "bare.py"
    copy.write_text("\n".join(bare) + "\n", encoding="utf-8")
    done = mypy(copy, cache)
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    assert len(marked) > 25
    assert found == marked
