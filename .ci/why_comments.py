"""Count comments per 100 lines of code, by room: the reasons beside constants, tricks and deviations.

Usage: ``python .ci/why_comments.py [--files]``; exits with 1 when a room is below its minimum. A comment that only
steers a tool (noqa, type: ignore, fmt, pragma) counts as none, unless it gives its reason after the code. Docstrings of
constants count as code: they say what a value is, and comments why it is that.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "cyclr_async"
MINIMUM: Final = {"http": 3.0, "usage": 3.0, "wire": 3.0, "auth": 3.0, "partner": 2.3, "v1": 2.3}
"""Where protocol, concurrency and money are; less where most lines describe arguments. The models of the same field
have 2 to 7 everywhere."""

# Switches of tools, with their arguments. What is left of the comment after them is the reason, if there is one.
_SWITCH: Final = re.compile(
    r"#\s*(?:noqa(?::\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?|type:\s*ignore(?:\[[^\]]*\])?|fmt:\s*\w+|pragma:[^#]*)"
)
_LICENCE: Final = re.compile(r"copyright|licen[cs]e|spdx", re.IGNORECASE)
_SKIPPED: Final = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


def count(source: str) -> tuple[int, int]:
    """Return the lines that are not blank, comments left out, and the lines of comments that say something."""
    lines: set[int] = set()
    comments = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            said = _SWITCH.sub("", token.string).strip(" #-:")
            comments += bool(said) and not token.string.startswith("#!") and not _LICENCE.search(said)
        elif token.type not in _SKIPPED:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines), comments


def rooms(files: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Return the counts of each room, which is the first folder below the package, or the package itself.

    Args:
        files: sources, by path below the package.
    """
    code: Counter[str] = Counter()
    comments: Counter[str] = Counter()
    for name, source in files.items():
        room = name.split("/")[0] if "/" in name else ""
        lines, said = count(source)
        code[room] += lines
        comments[room] += said
    return {room: (code[room], comments[room]) for room in sorted(code)}


def main() -> int:
    """Print the density of every room; 1 when one is below its minimum."""
    files = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    if "--files" in sys.argv[1:]:
        for name in sorted(files):
            lines, said = count(files[name])
            print(f"{name:44} {lines:5} lines {said:4} comments {100 * said / max(lines, 1):5.2f}")
    low = 0
    for room, (lines, said) in rooms(files).items():
        density = 100 * said / max(lines, 1)
        least = MINIMUM.get(room, 0.0)
        low += density < least
        verdict = f"TOO FEW, at least {least}" if density < least else ""
        print(f"{room or '(package)':12} {lines:6} lines {said:5} comments {density:6.2f} per 100 {verdict}".rstrip())
    return int(low > 0)


if __name__ == "__main__":
    sys.exit(main())
