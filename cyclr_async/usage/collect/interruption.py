"""What ended a collection, as its consumer is told: always with a reason, and whether the run can be resumed."""

from __future__ import annotations

from cyclr_async.errors import BulkInterruptedError, CyclrError, SessionClosedError, StoreError
from cyclr_async.http.classify import Concern, classify

__all__ = ["interruption_of"]


def interruption_of(failure: BaseException | None, *, resumable: bool) -> BaseException | None:
    """Return what the consumer is told of the failure that ended a collection.

    Args:
        failure: what ended it, or None.
        resumable: whether a store keeps the run.

    Returns:
        a :class:`BulkInterruptedError` where the library, the service or the credentials ended it; anything else, such
        as what the caller's own source of ids raised, as it is.
    """
    if isinstance(failure, BulkInterruptedError):
        failure.resumable = resumable  # whoever raised it does not know of the store
        return failure
    if not isinstance(failure, CyclrError):
        return failure
    if isinstance(failure, SessionClosedError):
        reason, what, sent = "closed", "the session was closed during the collection", failure.sent
    elif isinstance(failure, StoreError):
        return BulkInterruptedError(
            f"the store failed: {failure.message}. What it held before is safe", reason="store", resumable=True
        )
    elif classify(failure) is Concern.CREDENTIALS:
        # For the run as a whole: other accounts can have been asked before.
        reason, what, sent = "authentication", "the credentials were refused", "yes"
    else:
        return failure
    return BulkInterruptedError(
        f"{what}: {failure.message}",
        reason=reason,
        resumable=resumable,
        request_id=failure.request_id,
        attempts=failure.attempts,
        sent=sent,
    )
