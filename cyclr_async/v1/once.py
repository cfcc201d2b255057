"""Writes whose outcome can be looked up: what is created is made once, what is deleted is deleted once.

A write whose answer was lost is not repeated blindly. It is settled by looking: what is there was made, and what
certainly is not there is sent again. That works where the caller chooses the id, or a name is unique: a second request
that meets the first is refused by the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import attrs

from cyclr_async.errors import (
    AlreadyExistsError,
    BadRequestError,
    CyclrError,
    NotFoundError,
    OutcomeUnknownError,
)
from cyclr_async.http.classify import Concern, classify, is_foreign
from cyclr_async.http.clock import Clock

__all__ = ["Creation", "TimeLeft", "already", "delete_once", "passes"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_ROUNDS: Final = 12
"""Times that a write is settled by looking: at a service that loses every other answer, one in 4,000 is left."""
_PAUSE: Final = 0.1
"""Seconds before the second look, doubled each time up to the longest: a service that loses answers is given time."""
_LONGEST: Final = 6.4

_Made: TypeAlias = tuple[T, AlreadyExistsError | None]
"""What is there, and the refusal when it is not certain that this call has made it."""


_Pending: TypeAlias = OutcomeUnknownError | AlreadyExistsError
_Look: TypeAlias = Callable[[AlreadyExistsError | None], Awaitable[T | None]]


class _Send(Protocol[T_co]):
    async def __call__(self, *, again: bool) -> T_co | None: ...


class TimeLeft:
    """The time for a whole call that consists of several requests.

    Args:
        clock: the time.
        timeout: wall-clock seconds for everything; None leaves each request the time of a call of its own.
    """

    __slots__ = ("_clock", "_end")

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._clock = clock
        self._end = None if timeout is None else clock.now() + timeout

    def left(self) -> float | None:
        """Return the seconds that are left for the next request; None without a limit."""
        # Never 0, which no call takes as a timeout: the request then ends as one that ran out of time.
        return None if self._end is None else max(self._end - self._clock.now(), 0.001)

    async def pause(self, round_: int) -> bool:
        """Wait before the next round; False at once when there is no time left for one."""
        pause = min(_PAUSE * 2.0**round_, _LONGEST)
        # A pause that ends too late is not begun: no request could follow it, and the caller would wait too long.
        if self._end is not None and self._clock.now() + pause >= self._end:
            return False
        await self._clock.sleep(pause)
        return True


@attrs.frozen(kw_only=True, eq=False)
class Creation(Generic[T]):
    """Something that is created under an id or a name that only one can have.

    Attributes:
        time: the time for everything.
        send: sends the request that creates it, once.
        look: returns what is there under that id or name, or None.
        taken: returns a refusal as one about an id or name in use; None when it is about something else.
        differing: the arguments that what is there does not agree with.
        exists: the error when a look finds what cannot be ours.
        advice: what to do about what is there and differs.
    """

    time: TimeLeft
    send: Callable[[], Awaitable[T]]
    look: Callable[[], Awaitable[T | None]]
    taken: Callable[[BadRequestError], AlreadyExistsError | None]
    differing: Callable[[T], tuple[str, ...]]
    exists: Callable[[T], AlreadyExistsError]
    advice: str

    async def create(self) -> T:
        """Create it.

        Raises:
            AlreadyExistsError: it was there before.
            OutcomeUnknownError: it may have been created, and the service could not be asked.
            CyclrError: it was not created.
        """
        found, refused = await _settled(self.time, self._sent, self._seen)
        if refused is None:
            return found
        raise self._told(refused, self.differing(found))

    async def ensure(self) -> T:
        """Return what is there as asked for, created now if nothing was.

        Raises:
            AlreadyExistsError: something else is there.
            OutcomeUnknownError: it may have been created, and the service could not be asked.
            CyclrError: it was not created.
        """
        found, refused = await _settled(self.time, self._sent, self._seen)
        return found if refused is None else self.agreed(found, refused)

    def agreed(self, found: T, refused: AlreadyExistsError | None = None) -> T:
        """Return what is there if it is as asked for.

        Raises:
            AlreadyExistsError: it is not.
        """
        differing = self.differing(found)
        if not differing:
            return found
        raise self._told(refused or self.exists(found), differing)

    async def _sent(self, *, again: bool) -> _Made[T] | None:
        """Send the request, and return what it has made; None when it met something that is there."""
        try:
            return await self.send(), None
        except BadRequestError as error:
            refused = self.taken(error)
            if refused is None:
                raise
        if again:
            return None  # made perhaps by the request whose answer was lost
        raise refused

    async def _seen(self, refused: AlreadyExistsError | None) -> _Made[T] | None:
        found = await self.look()
        if found is None:
            if refused is not None:
                raise refused  # it is taken, and by nothing that can be seen
            return None
        # After a lost answer, one with what was asked for is taken for ours.
        ours = refused is None and not self.differing(found)
        return found, None if ours else refused or self.exists(found)

    def _told(self, error: AlreadyExistsError, differing: tuple[str, ...]) -> AlreadyExistsError:
        error.same, error.differing = not differing, differing
        told = "is as asked for; ensure() returns it."
        if differing:
            told = f"differs in {', '.join(differing)}: {self.advice}."
        # The server's own words come without a full stop, those of exists() with one.
        error.args = (f"{error.message.rstrip().removesuffix('.')}. It {told}",)
        return error


async def delete_once(
    time: TimeLeft, send: Callable[[], Awaitable[None]], look: Callable[[], Awaitable[object]]
) -> None:
    """Delete something, and look whether it is gone where the answer was lost.

    The request is not repeated before a look has shown that it is there: the id of an account is free again at once,
    and a blind repetition could meet an account that somebody has made meanwhile.

    Args:
        time: the time for everything.
        send: sends the request that deletes it, once.
        look: returns something that is equal as long as it is the same, or None when it is gone.

    Raises:
        NotFoundError: it was not there.
        OutcomeUnknownError: it may have been deleted, and the service could not be asked.
        CyclrError: it was not deleted.
    """
    seen: list[object] = []

    async def sent(*, again: bool) -> bool:
        try:
            await send()
        except NotFoundError as error:
            if not again or is_foreign(error):
                raise
            # The request whose answer was lost has done it.
        return True

    async def gone(_: AlreadyExistsError | None) -> bool | None:
        found = await look()
        if found is None or (seen and found != seen[0]):
            return True  # what is there now, if anything, was made later
        seen[:] = [found]
        return None

    await _settled(time, sent, gone)


async def _settled(time: TimeLeft, send: _Send[T], look: _Look[T]) -> T:
    """Send a request until it is known what has become of it.

    Args:
        time: the time for everything.
        send: sends it, and returns what came of it; None when that has to be looked up. ``again`` tells whether an
            answer was lost before.
        look: returns what came of it; None when it was certainly not carried out. It is given the refusal when no
            answer was lost, and the request met something that was there.

    Raises:
        OutcomeUnknownError: the first answer that was lost, when the service could not be asked in time.
        AlreadyExistsError: no answer was lost, and what is there could not be looked at, or not seen.
        CyclrError: it was not carried out.
    """
    pending: _Pending | None = None
    sending = True
    for round_ in range(_ROUNDS):
        found: T | None = None
        if sending:
            try:
                found = await send(again=pending is not None)
            except (OutcomeUnknownError, AlreadyExistsError) as error:
                pending = pending or error
            except CyclrError as error:
                pending = _kept(pending, "sending it again", error)
        if found is None:
            try:
                found = await look(pending if isinstance(pending, AlreadyExistsError) else None)
                sending = True
            except CyclrError as error:
                pending = _kept(pending, "looking for it", error)
                sending = False  # not before it is known that it was not carried out
        if found is not None:
            return found
        if not await time.pause(round_):
            break
    assert pending is not None  # without it, the first round ends the call
    raise pending


def _kept(pending: _Pending | None, what: str, error: CyclrError) -> _Pending:
    """Return what is still to be settled in spite of a failure, or raise what the call ends with."""
    if pending is None or error is pending:
        raise error
    pending.add_note(f"{what} failed: {error}")
    if not passes(error):
        raise pending from None
    return pending


def already(error: BadRequestError) -> AlreadyExistsError:
    """Return a refusal as one about something that exists."""
    return AlreadyExistsError(
        error.message,
        status=error.status,
        server_message=error.server_message,
        headers=error.headers,
        body=error.body,
        request_id=error.request_id,
        attempts=error.attempts,
        sent=error.sent,
    )


def passes(error: CyclrError) -> bool:
    """Whether a failure is the service's and may pass, so that it can still be asked."""
    return classify(error) is Concern.SERVICE and not (isinstance(error, NotFoundError) and is_foreign(error))
