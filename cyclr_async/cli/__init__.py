"""The ``cyclr`` command. Importing this package is cheap; it needs the extra ``cli`` only when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

__all__ = ["main"]

_EXTRA: Final = frozenset({"click", "rich", "platformdirs"})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments after the name of the program; those of the process when None.

    Returns:
        the exit code: 0 done, 1 failed, 2 wrong usage or settings, 3 partial, 4 credentials, 75 interrupted and
        resumable, 130 interrupted, 141 nobody reads the output.
    """
    try:
        from cyclr_async.cli.entry import run  # noqa: PLC0415 - the extra may be missing

        return run(argv)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(f"cyclr: {error.name} is not installed; run: pip install 'cyclr-async[cli]'\n")
        return 2
