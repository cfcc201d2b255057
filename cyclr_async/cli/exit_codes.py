"""Exit codes, and which error means which."""

from __future__ import annotations

from enum import IntEnum

from cyclr_async.errors import (
    AuthenticationError,
    BulkInterruptedError,
    ConfigurationError,
    CyclrError,
)

__all__ = ["CredentialsMissingError", "Exit", "InterruptedBySignal", "exit_code"]


class Exit(IntEnum):
    """What the exit codes mean; they are part of the public interface."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PARTIAL = 3
    CREDENTIALS = 4
    RESUMABLE = 75
    INTERRUPTED = 130
    CLOSED_PIPE = 141


class CredentialsMissingError(ConfigurationError):
    """No credentials were found anywhere."""


class InterruptedBySignal(BaseException):
    """SIGINT or SIGTERM arrived; what was open has been closed by now."""


def exit_code(error: CyclrError) -> Exit:
    """Return the exit code for an error of the package."""
    if isinstance(error, BulkInterruptedError):
        if error.reason == "authentication":
            return Exit.CREDENTIALS
        return Exit.RESUMABLE if error.resumable else Exit.FAILED
    if isinstance(error, (AuthenticationError, CredentialsMissingError)):
        return Exit.CREDENTIALS
    return Exit.USAGE if isinstance(error, ConfigurationError) else Exit.FAILED
