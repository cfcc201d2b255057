"""Whether an answer that carries an id is the answer to the request it came for.

HTTP/1.1 has no ids: when a server or proxy sends one answer too many, every later answer on the connection belongs to
the request before. An answer of this API names its account, and that is used against it, as far as the name can be
trusted: that it is the id that was asked for is likely, but not known, it could be one that the service uses inside.
"""

from __future__ import annotations

from collections import deque
from typing import Final
from weakref import WeakKeyDictionary

from cyclr_async.errors import DesynchronizedError
from cyclr_async.wire.segments import bare_id

__all__ = ["AnswerIds"]

_RECENT: Final = 16
"""Requests that are remembered for each connection. A surplus answer is the one to the request before, as a rule; the
first one that is taken for a later request gives the connection away, so that more are not needed."""
_DOUBTFUL: Final = 1024
"""Refused answers that are remembered until they come again."""


class AnswerIds:
    """What a session knows of the ids in answers.

    An answer is refused when its id is that of another request that was answered shortly before on the same
    connection. Where every id so far was the one asked for, any other is refused as well, once: when the request is
    made again and the answer names the same id, it is the service's own, and from then on only the first rule holds.
    """

    __slots__ = ("_agreed", "_doubtful", "_foreign", "_recent")

    def __init__(self) -> None:
        # Weak, so that a connection that is closed is forgotten, and a new one never takes over its requests.
        self._recent: WeakKeyDictionary[object, deque[str]] = WeakKeyDictionary()
        self._agreed = False
        self._foreign = False
        self._doubtful: dict[str, str] = {}

    def check(self, operation: str, asked: str, found: str | None, connection: object, *, always: bool = True) -> None:
        """Take note of an answer.

        Args:
            operation: the operation, for the message of an error.
            asked: the id that was asked for.
            found: the id in the answer; None when it has none.
            connection: on which it came, something that can be referred to weakly; None when that is not known.
            always: whether the second rule holds for this operation too.

        Raises:
            DesynchronizedError: the answer belongs to another request.
        """
        recent = None if connection is None else self._recent.get(connection)
        if found == asked:  # as a rule, and then nothing has to be brought to one form
            self._agreed = self._agreed or always
        elif found is not None:
            bare, wanted = bare_id(found), bare_id(asked)
            if bare == wanted:
                self._agreed = self._agreed or always
            elif any(bare_id(other) == bare for other in recent or ()) or (always and self._is_doubtful(wanted, bare)):
                raise DesynchronizedError(
                    f"{operation}: the answer names another account and was discarded with its connection",
                    sent="maybe",
                    status=None,
                )
        if recent is not None:
            recent.append(asked)
        elif connection is not None:
            self._recent[connection] = deque((asked,), _RECENT)

    def _is_doubtful(self, asked: str, found: str) -> bool:
        """Whether an id that was not asked for is refused: all others were asked for, and it comes the first time."""
        if self._foreign or not self._agreed:
            return False
        if self._doubtful.get(asked) == found:
            # On another connection, since the first was dropped. It is not one answer too many that comes twice.
            self._foreign = True
            self._doubtful.clear()
            return False
        if len(self._doubtful) >= _DOUBTFUL:
            del self._doubtful[next(iter(self._doubtful))]
        self._doubtful[asked] = found
        return True
