"""Accounts that were refused, kept until it is clear whether that is about them or about everybody.

A 404 of one account and a 404 of a wrong address look alike. So a refusal is held back until another account has been
answered whose request began later: then the service was there and the credentials were good, and the refusal was the
account's own. When refusals come in a row, or at the end of the run, an account that answered before is asked again
as a witness (:mod:`cyclr_async.usage.collect.fetcher`). What is held back has no outcome yet: its account is pending,
so a run that ends over it marks no account as missing.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from cyclr_async.errors import BulkInterruptedError, CyclrError, UnauthorizedError
from cyclr_async.http.classify import Concern, classify, is_wrong_address, needs_witness
from cyclr_async.usage.collect.outcome import Outcome
from cyclr_async.usage.collect.work_items import WorkItem

__all__ = ["FailureRateGuard", "Refusal"]

_ROW: Final = 50
"""Refusals in a row that call for a witness; also the most that are held back, apart from the calls under way."""
_UNAUTHORIZED_ROW: Final = 3
"""The same for 401, which is about the token as a rule: no use in asking fifty times with a dead one."""

Refusal = tuple[WorkItem, Outcome[Any, Any]]


class FailureRateGuard:
    """Holds refusals back until something has answered after them.

    Attributes:
        refusals: how many there have been so far. Noted when a request begins, it tells which refusals the answer of
            that request can vouch for.
    """

    __slots__ = ("_unauthorized_row", "held", "refusals")

    def __init__(self) -> None:
        self.refusals: int = 0
        self.held: deque[tuple[int, Refusal]] = deque()
        """Refusals that are held back, each with its number; empty in a run without any, which is the usual one."""
        self._unauthorized_row = _UNAUTHORIZED_ROW

    @property
    def suspicious(self) -> bool:
        """Whether so many were refused in a row that a witness is needed."""
        held = len(self.held)
        if held < self._unauthorized_row:
            return False
        return held >= _ROW or self._unauthorized() >= self._unauthorized_row

    @staticmethod
    def concerns(error: CyclrError) -> bool:
        """Whether an error that ends an account is a refusal that could be meant for everybody."""
        if isinstance(error, UnauthorizedError) or is_wrong_address(error):
            return True
        return classify(error) is Concern.ACCOUNT and getattr(error, "status", 200) >= 300

    def hold(self, item: WorkItem, outcome: Outcome[Any, Any]) -> None:
        """Keep a refusal back."""
        self.refusals += 1
        # Numbered, because answers overtake each other: what began before a refusal says nothing about it.
        self.held.append((self.refusals, (item, outcome)))

    def released(self, before: int) -> list[Refusal]:
        """Take out what an answer vouches for: the refusals that had come when its request began, by their number."""
        freed = []
        while self.held and self.held[0][0] <= before:
            freed.append(self.held.popleft()[1])
        return freed

    def vouched(self, before: int) -> list[Refusal]:
        """Take out what a witness vouches for, who also shows that a 401 can be about an account."""
        if self._unauthorized():
            self._unauthorized_row = _ROW  # from now on a 401 is taken for any other refusal of an account
        return self.released(before)

    def needs_witness(self) -> bool:
        """Whether, at the end of a run in which accounts were answered, a witness has to decide about the rest."""
        # A 404 that the API itself has written is believed then: something has answered, so the address is right.
        return any(needs_witness(error) for error in self._errors())

    def is_an_answer(self) -> bool:
        """Whether what is held back is believed though nothing has answered: the refusal of one single account."""
        errors = self._errors()
        # Whoever asks about one account wants to hear that it does not exist, and there is nobody else to ask.
        alone = len(errors) == 1 and self.refusals == 1
        return alone and not isinstance(errors[0], UnauthorizedError) and not is_wrong_address(errors[0])

    def interruption(self, *, at_end: bool, witness: bool) -> BulkInterruptedError:
        """Return what the run ends with; the accounts held back stay pending.

        Args:
            at_end: whether every account had been asked.
            witness: whether accounts that had answered before are refused as well.
        """
        errors = self._errors()
        unauthorized = self._unauthorized()
        # The majority names the cause: a few deleted accounts lie among the refusals of a dead token, too.
        if unauthorized * 2 > len(errors):
            what = "the access token is refused again and again"
        elif at_end and not witness:
            what = f"all of {len(errors)} accounts were refused"
        else:
            what = f"{len(errors)} accounts in a row were refused"
        if witness:
            what += ", and so were accounts that had answered before"
        return BulkInterruptedError(
            f"{what}; they stay pending, none is counted as missing. Check the credentials, their scope and the base "
            f"URL; the last answer: {errors[-1].message}",
            reason="authentication" if unauthorized * 2 > len(errors) else "systemic",
            sent="yes",
        )

    def _errors(self) -> list[CyclrError]:
        return [outcome.error for _, (_, outcome) in self.held if outcome.error is not None]

    def _unauthorized(self) -> int:
        return sum(isinstance(error, UnauthorizedError) for error in self._errors())
