"""The ``cyclr`` command. Importing this package is cheap; it needs the extra ``cli`` only when it runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

__all__ = ["main"]

_EXTRA: Final = frozenset({"click", "rich", "platformdirs"})
_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: the arguments after the name of the program; those of the process when None.

    Returns:
        the exit code: 0 done, 1 failed, 2 wrong usage or settings, 3 partial, 4 credentials, 75 interrupted and
        resumable, 130 interrupted, 141 nobody reads the output.
    """
    early = argv is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if early:
        # A KeyboardInterrupt in the middle of an import shows a traceback, or gets lost in a callback. Until the
        # imports are done nothing is open, so the process may end on the spot.
        signal.signal(signal.SIGINT, _leave)
    try:
        from cyclr_async.cli.run import run  # noqa: PLC0415 - the extra may be missing

        if early:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run(argv)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        sys.stderr.write(f"cyclr: {package} is not installed; run: pip install 'cyclr-async[cli]'\n")
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        if early:
            # What is left is the end of the interpreter, where an exception can only be shown and not be handled.
            signal.signal(signal.SIGINT, _leave)


def _leave(*_: object) -> NoReturn:
    os._exit(_INTERRUPTED)
