"""Values that cannot be printed, logged, formatted or pickled by accident."""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, Self

from yarl import URL

__all__ = ["HiddenBytes", "HiddenStr", "Secret", "SecretUrl"]

_MASK: Final = "***"


class Secret:
    """A text that shows itself only when asked with :meth:`reveal`.

    ``str``, ``repr``, ``format``, logging and tracebacks with locals show ``***``; pickling is refused.
    Two secrets compare equal when their texts do; a secret never equals a plain string.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | Secret) -> None:
        if isinstance(value, Secret):
            value = value.reveal()
        if not isinstance(value, str):
            raise TypeError(f"a secret is made from a str, not from {type(value).__name__}")
        self._value = HiddenStr(value)

    def reveal(self) -> str:
        """Return the text itself, as a plain ``str``."""
        return str(self._value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_MASK!r})"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            str(self._value).encode("utf-8", "surrogatepass"), str(other._value).encode("utf-8", "surrogatepass")
        )

    def __hash__(self) -> int:
        return hash((Secret, str(self._value)))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled: call reveal() and store the text where secrets belong")


class SecretUrl(Secret):
    """A link that carries a secret in its query: a sign-in link, for example.

    ``str`` and ``repr`` show the link with every query value and any user name and password masked, so it stays
    recognisable in a log; what is no absolute URL is masked as a whole.
    """

    __slots__ = ()

    def __str__(self) -> str:
        try:
            url = URL(str(self._value), encoded=True)
            if not url.absolute:
                return _MASK  # user:password@host without a scheme, for example
            bare = url.with_query(None).with_fragment(None).with_user(None)
            if url.raw_user or url.raw_password:
                bare = bare.with_user(_MASK)
            names = list(url.query)
        except ValueError:
            return _MASK
        query = "&".join(f"{name}={_MASK}" for name in names)
        return f"{bare}?{query}" if query else str(bare)

    def __repr__(self) -> str:
        return f"SecretUrl({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class HiddenStr(str):
    """A real ``str`` whose ``repr`` is masked, for places that must hold the text itself.

    The header mapping given to aiohttp and the dictionary that :meth:`to_dict` returns hold such values: they
    serialise as the text, and a traceback with locals or a printed dictionary shows ``'***'``.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_MASK)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret text is not pickled: convert it with str() and store it where secrets belong")


class HiddenBytes(bytes):
    """Real ``bytes`` whose ``repr`` is masked: request bodies, which may hold passwords."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"b{_MASK!r}"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a request body is not pickled, it may hold a secret")
