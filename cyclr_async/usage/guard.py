"""Stops a run that is denied everywhere: the reason is then the run's, not the accounts'."""

from __future__ import annotations

from typing import Final

from cyclr_async.errors import (
    AuthenticationError,
    BulkInterruptedError,
    ConfigurationError,
    CyclrError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    SessionClosedError,
    StoreError,
    UnauthorizedError,
    WrongEventLoopError,
)

__all__ = ["SystemicGuard", "ends_the_run"]

_RUN: Final = 50
"""Denials in a row that stop a run."""
_UNAUTHORIZED: Final = 3
"""The same for 401, which concerns the token and never one account."""
_SAMPLE: Final = 1000
_SHARE: Final = 0.2
"""The share of denials among the last thousand accounts that stops a run."""


_FATAL: Final = (SessionClosedError, WrongEventLoopError, StoreError, BulkInterruptedError)


def ends_the_run(error: CyclrError) -> bool:
    """Whether an error concerns the whole run at once: refused credentials, a setting, the session, the store."""
    if isinstance(error, AuthenticationError):
        return not isinstance(error, UnauthorizedError)
    if isinstance(error, ConfigurationError):
        return not isinstance(error, InvalidArgumentError)
    return isinstance(error, _FATAL)


class SystemicGuard:
    """Counts 401, 403 and 404 among the accounts of a run."""

    __slots__ = ("_denied", "_row", "_seen", "_unauthorized", "_window")

    def __init__(self) -> None:
        self._row = self._unauthorized = self._seen = self._denied = 0
        self._window = 0.0

    def ok(self) -> None:
        """Count an account that answered."""
        self._row = self._unauthorized = 0
        self._count(0)

    def denied(self, error: CyclrError) -> None:
        """Count an account that was refused.

        Raises:
            BulkInterruptedError: too many were.
        """
        if not isinstance(error, (UnauthorizedError, ForbiddenError, NotFoundError)):
            return
        self._row += 1
        self._denied += 1
        self._unauthorized = self._unauthorized + 1 if isinstance(error, UnauthorizedError) else 0
        self._count(1)
        if self._unauthorized >= _UNAUTHORIZED:
            raise self._stop("the access token is refused again and again", "authentication", error)
        if self._row >= _RUN:
            raise self._stop(f"{self._row} accounts in a row were refused", "systemic", error)
        if self._seen >= _SAMPLE and self._window >= _SHARE * _SAMPLE:
            raise self._stop(f"every fifth of the last {_SAMPLE} accounts was refused", "systemic", error)

    def at_end(self, ok: int) -> None:
        """Look at a run that reached its end.

        Raises:
            BulkInterruptedError: no account at all answered.
        """
        if self._denied > 1 and ok == 0:
            raise self._stop(f"all of {self._denied} accounts were refused", "systemic", None)

    def _count(self, denied: int) -> None:
        # A window that forgets a thousandth per account: the share of late denials, without a list of them.
        self._seen += 1
        keep = 1 - 1 / _SAMPLE if self._seen > _SAMPLE else 1.0
        self._window = self._window * keep + denied

    def _stop(self, what: str, reason: str, error: CyclrError | None) -> BulkInterruptedError:
        last = f"; the last answer: {error.message}" if error is not None else ""
        return BulkInterruptedError(
            f"{what}: nobody was written off. Check the credentials, their scope and the base URL{last}",
            reason=reason,
            sent="yes",
        )
