"""A large JSON array, element by element, while it arrives."""

import re
from typing import Any, Final, Generic, TypeVar

from cyclr_async.errors import DecodeError
from cyclr_async.wire import strict_json
from cyclr_async.wire.converter import Problem, structure_elements

__all__ = ["ArraySplitter", "ListDecoder", "memory_of"]

T = TypeVar("T")

_SPACE: Final = b" \t\r\n"
# Decoding a slice of this size holds the event loop for milliseconds. A gzip body can unpack to more in one piece.
_SLICE: Final = 1 << 18
# Each failed guess parses the whole buffer, so their number is bounded, in a row and altogether: reading stays
# linear.
_TRIES: Final = 4
_MISSES: Final = 8
# Between two elements there are a comma and blanks. More blanks than this only cost the guess; the scanner copes.
_WINDOW: Final = 256
_ENDED: Final = 1 << 30
"""A depth that no document reaches, even when it goes on after its end."""
# The next byte that means something, found in C and not by a loop over bytes: inside an element commas mean nothing,
# inside a text only its end and a backslash do.
_AT_TOP: Final = re.compile(rb'["{}\[\],]').search
_NESTED: Final = re.compile(rb'["{}\[\]]').search
_IN_TEXT: Final = re.compile(rb'["\\]').search


_VALUE_MEMORY: Final = 56
"""Bytes that a value takes besides its text, roughly: a text 49, an empty list 56, its place in a list 8 or more."""
_OBJECT_MEMORY: Final = 184
"""The same for an object, which has room for five names as soon as it has one."""


def memory_of(chunk: bytes | bytearray) -> int:
    """Estimate the memory, in bytes, that the values in a piece of JSON take once they are decoded.

    The length alone would be off by a factor of 30 for what is made to take memory: ``[{"a":{}},{"a":{}},…``. Counting
    values, by what stands before them, costs a twentieth of decoding them. It is too low only for texts outside of
    Latin-1, by four at most.
    """
    values = chunk.count(b",") + chunk.count(b"[")
    return len(chunk) + _VALUE_MEMORY * values + _OBJECT_MEMORY * chunk.count(b"{")


class _Scanner:
    """Follows the structure of the elements byte by byte: slower than guessing, and never wrong."""

    __slots__ = ("_at", "_depth", "_in_text", "_start", "cut", "longest")

    def __init__(self) -> None:
        self._at = self._depth = self._start = self.longest = 0
        self._in_text = False
        self.cut = -1

    def scan(self, buffer: bytearray) -> None:
        """Read on to the end of the buffer; ``cut`` is then the last comma between two elements, or -1."""
        at, size = self._at, len(buffer)
        while at < size:
            find = _IN_TEXT if self._in_text else _NESTED if self._depth else _AT_TOP
            match = find(buffer, at)
            if match is None:
                at = size
                break
            byte, at = buffer[match.start()], match.end()
            if byte == 0x22:
                self._in_text = not self._in_text
            elif byte == 0x5C:
                at += 1  # the escaped character; it may not have arrived yet
            elif byte == 0x2C:
                self.cut = at - 1
                self.longest = max(self.longest, self.cut - self._start)
                self._start = at
            else:
                self._depth += 1 if byte in b"{[" else -1
                if self._depth < 0:  # the array has ended; what follows is judged when the document is complete
                    self._depth = _ENDED
        self._at = at
        self.longest = max(self.longest, size - self._start)

    @property
    def ended(self) -> bool:
        """Whether the bracket that ends the array has been read."""
        return self._depth >= _ENDED

    def shift(self, count: int) -> None:
        """Account for ``count`` bytes removed from the front of the buffer."""
        self._at -= count
        self._start -= count
        self.cut = -1
        self.longest = 0


class ArraySplitter:
    """Cuts a top-level JSON array into its elements, whatever the boundaries of the chunks.

    The quick way guesses the last boundary between two objects and has the JSON decoder prove it: a cut inside a string
    or a nested value leaves something unterminated, which cannot parse. When guesses fail repeatedly, as they can for
    nested arrays of objects, a scanner follows the structure instead. Both are linear in the size of the document.

    Args:
        element_bytes: bytes that one element may have, at least 1; larger ones are refused, so the buffer stays small.
    """

    def __init__(self, *, element_bytes: int = 1 << 20) -> None:
        self.index: int = 0
        """Elements handed out so far."""
        self.unfinished: bool = False
        """True after :meth:`close` when the array had begun and did not end."""
        self._limit = element_bytes
        self._buffer = bytearray()
        self._opened = self._closed = False
        self._blank = 0
        self._searched = self._misses = 0
        self._scanner: _Scanner | None = None

    def feed(self, chunk: bytes | bytearray) -> list[Any]:
        """Take the next bytes of the document.

        Args:
            chunk: any number of bytes; a chunk of 64 KiB keeps the event loop free.

        Returns:
            The elements that are complete and followed by another one.

        Raises:
            DecodeError: the document is no array, is malformed, or has an element that is too large.
        """
        if len(chunk) <= _SLICE:
            return self._feed(chunk)
        elements: list[Any] = []
        # Elements are handed out together all the same; what is bounded is the buffer, and so the cost of one guess.
        for start in range(0, len(chunk), _SLICE):
            elements += self._feed(chunk[start : start + _SLICE])
        return elements

    def close(self) -> list[Any]:
        """Take the end of the document.

        Returns:
            The remaining elements; nothing when called again.

        Raises:
            DecodeError: the document is incomplete or malformed, or something follows it.
        """
        if self._closed:
            return []
        # At the beginning, so that a second call after an error is as quiet as one after success.
        self._closed = True
        if not self._opened:
            self._not_an_array()
        try:
            # With a bracket in front, so that the rest is a document, and the bracket at its end is the one that
            # came.
            elements = self._parse(b"[" + bytes(self._buffer))
        except DecodeError:
            # Only now: whether the end is missing or wrong decides if the list is read again, and nobody else needs
            # to know.
            scanner = self._scanner or _Scanner()
            scanner.scan(self._buffer)
            self.unfinished = not scanner.ended
            raise
        # What stands before the comma was handed out as a whole, and an empty rest is a right document by itself:
        # only together are they wrong.
        if self.index and not elements:
            raise DecodeError(f"the answer is not JSON: nothing follows the comma after $[{self.index - 1}]", path="$")
        self._buffer.clear()
        self.index += len(elements)
        return elements

    def _feed(self, chunk: bytes | bytearray) -> list[Any]:
        buffer = self._buffer
        buffer += chunk
        if not self._opened and not self._open():
            return []
        elements: list[Any] = []
        if self._scanner is None:
            elements = self._guess()
            # For the rest of the document, since what defeats the guess is the shape of its elements, and that does
            # not change. An element larger than the limit is left to the scanner too, which measures it.
            if self._misses >= _MISSES or len(buffer) > _SLICE or len(buffer) > self._limit:
                self._scanner = _Scanner()
        if self._scanner is not None:
            elements += self._follow(self._scanner)
        return elements

    def _open(self) -> bool:
        body = self._buffer.lstrip(_SPACE)
        if not body:
            self._blank += len(self._buffer)
            self._buffer.clear()
            # Blanks are not kept, so a limit on memory alone would never stop a body that consists of them.
            if self._blank > self._limit:
                raise DecodeError(f"the answer is not JSON: more than {self._limit} blanks before the array", path="$")
            return False
        if body[0] != 0x5B:
            self._not_an_array()
        self._buffer[:] = body[1:]
        self._opened = True
        return True

    def _not_an_array(self) -> None:
        start = bytes(self._buffer[:1])
        found = {b"{": "an object", b'"': "a string", b"n": "null", b"t": "a boolean", b"f": "a boolean"}.get(
            start, "something that is not JSON" if start else "nothing"
        )
        raise DecodeError(
            f"the answer does not match the API document: $ should be array, found {found}", path="$", expected="array"
        )

    def _guess(self) -> list[Any]:
        """Cut before the last brace that follows a brace and a comma, if the decoder agrees."""
        buffer = self._buffer
        end = len(buffer)
        for _ in range(_TRIES):
            end = buffer.rfind(b"{", self._searched, end)
            # At 0 no comma can stand before it.
            if end <= 0:
                break
            before = buffer[max(0, end - _WINDOW) : end].rstrip(_SPACE)
            # Objects only: a comma after a text or a number is more often inside of an element than between two.
            if not before.endswith(b",") or not before[:-1].rstrip(_SPACE).endswith(b"}"):
                continue
            comma = buffer.rfind(b",", 0, end)
            if comma > self._limit:
                break
            elements = _try(b"[" + bytes(buffer[:comma]) + b"]")
            if elements:
                del buffer[: comma + 1]
                self._searched = 0
                # Luck makes up for bad luck, so that a few odd elements in a long list do not slow the rest down.
                self._misses = max(0, self._misses - 1)
                self.index += len(elements)
                return elements
            self._misses += 1
        # What was searched in vain is not searched again when the next chunk is there.
        self._searched = len(buffer)
        return []

    def _follow(self, scanner: _Scanner) -> list[Any]:
        scanner.scan(self._buffer)
        # Before it is parsed: the limit is there to bound what a hostile element can make the decoder take.
        if scanner.longest > self._limit:
            raise DecodeError(
                f"an element at or after $[{self.index}] has more than {self._limit} bytes",
                path=f"$[{self.index}]",
                expected=f"at most {self._limit} bytes",
            )
        if scanner.cut < 0:
            return []
        elements = self._parse(b"[" + bytes(self._buffer[: scanner.cut]) + b"]")
        if not elements:
            raise DecodeError(f"the answer is not JSON: a comma stands where $[{self.index}] should be", path="$")
        del self._buffer[: scanner.cut + 1]
        scanner.shift(scanner.cut + 1)
        self.index += len(elements)
        return elements

    def _parse(self, text: bytes) -> list[Any]:
        problem = ""
        try:
            elements: list[Any] = strict_json.loads(text)
        except DecodeError as error:
            # Raised after the except block, because the error that was caught counts from the wrong place: the path
            # is ours.
            problem = error.message
        else:
            return elements
        raise DecodeError(f"{problem}; the part from $[{self.index}] on", path=f"$[{self.index}]", expected="JSON")


def _try(text: bytes) -> list[Any] | None:
    try:
        elements: list[Any] = strict_json.loads(text)
    except DecodeError:
        return None
    return elements


class ListDecoder(Generic[T]):
    """Models from a JSON array, while it arrives.

    Args:
        cls: the model class of the elements.
        lenient: leave out elements that are wrong and report them in :attr:`problems`, instead of raising.
        element_bytes: bytes that one element may have.
    """

    def __init__(self, cls: type[T], *, lenient: bool = False, element_bytes: int = 1 << 20) -> None:
        self.problems: list[Problem] = []
        """Index and error of every element left out; always empty unless lenient."""
        self._cls = cls
        self._reported = self.problems if lenient else None
        self._splitter = ArraySplitter(element_bytes=element_bytes)

    @property
    def index(self) -> int:
        """Elements seen so far, those that were wrong included."""
        return self._splitter.index

    def feed(self, chunk: bytes | bytearray) -> list[T]:
        """Take the next bytes and return the models that are complete.

        Args:
            chunk: any number of bytes of the document.

        Raises:
            DecodeError: the document is malformed, or, unless lenient, an element is wrong: its index is in the path.
        """
        base = self._splitter.index
        return structure_elements(self._splitter.feed(chunk), self._cls, self._reported, base=base)

    @property
    def unfinished(self) -> bool:
        """True after :meth:`close` when the array had begun and did not end: the document was cut off."""
        return self._splitter.unfinished

    def close(self) -> list[T]:
        """Take the end of the document and return the remaining models.

        Raises:
            DecodeError: as :meth:`feed`, or the document is incomplete.
        """
        base = self._splitter.index
        return structure_elements(self._splitter.close(), self._cls, self._reported, base=base)
