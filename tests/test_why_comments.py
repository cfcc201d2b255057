"""The counter of reasons counts what a reader would call one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "why_comments.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="only in a checkout")


@pytest.fixture(scope="module")
def counter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("why_comments", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("source", "lines", "comments"),
    [
        ("", 0, 0),
        ("x = 1\n\n\ny = 2\n", 2, 0),
        ("# because the server closes at five\nx = 4\n", 1, 1),
        ("x = 4  # the server closes at five\n", 1, 1),
        ("# one reason\n# of two lines\nx = (\n    4,\n)\n", 3, 2),
        ('x = "# no comment"\n', 1, 0),
        ('"""One\n# inside of a docstring\n"""\n', 3, 0),
        ("x = f()  # noqa: BLE001\n", 1, 0),
        ("x = f()  # noqa: BLE001 - a hook may raise anything\n", 1, 1),
        ("x = f()  # noqa\n", 1, 0),
        ("x = f()  # type: ignore[operator]\n", 1, 0),
        ("x = f()  # type: ignore[operator]  # noqa: BLE001, S110\n", 1, 0),
        ("x = [1]  # fmt: skip\n# pragma: no cover\n#\n", 1, 0),
        ("#!/usr/bin/env python\n# Copyright 2024\n# SPDX-License-Identifier: MIT\nx = 1\n", 1, 0),
    ],
)
def test_what_counts(counter: ModuleType, source: str, lines: int, comments: int) -> None:
    assert counter.count(source) == (lines, comments)


def test_rooms_are_the_first_folders(counter: ModuleType) -> None:
    files = {"a.py": "x = 1\n", "http/b.py": "# why\nx = 1\n", "http/engine/c.py": "x = 1\ny = 1  # why\n"}
    assert counter.rooms(files) == {"": (1, 0), "http": (3, 2)}


def test_a_room_below_its_minimum_fails(
    counter: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for room in counter.MINIMUM:
        (tmp_path / room).mkdir()
        (tmp_path / room / "m.py").write_text("# why\nx = 1\n", encoding="utf-8")
    monkeypatch.setattr(counter, "PACKAGE", tmp_path)
    monkeypatch.setattr("sys.argv", ["why_comments.py"])
    assert counter.main() == 0
    (tmp_path / "wire" / "m.py").write_text("x = 1\n", encoding="utf-8")
    assert counter.main() == 1
    assert "wire" in next(line for line in capsys.readouterr().out.splitlines() if "TOO FEW" in line)
