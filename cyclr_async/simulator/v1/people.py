"""The users of all accounts, and their passwords, of which only digests are kept."""

from __future__ import annotations

import hmac
import secrets
from hashlib import blake2b

__all__ = ["People"]


class People:
    """The users that exist; names count without case."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: dict[str, bytes | None] = {}

    def meet(self, name: str) -> None:
        """Remember a user; one without a password yet."""
        self._digests.setdefault(name.casefold(), None)

    def knows(self, name: str) -> bool:
        """Whether the user exists."""
        return name.casefold() in self._digests

    def set_password(self, name: str, password: str | None) -> None:
        """Set a password; None leaves the one there is."""
        self.meet(name)
        if password is not None:
            self._digests[name.casefold()] = self._digest(password)

    def accepts(self, name: str, password: str) -> bool:
        """Whether the user may sign in with that password. The first one that a user without password gives is kept."""
        known = self._digests.get(name.casefold())
        if known is None:
            self.set_password(name, password or None)
            return True
        return hmac.compare_digest(known, self._digest(password))

    def _digest(self, password: str) -> bytes:
        return blake2b(password.encode("utf-8", "replace"), key=self._key, digest_size=32).digest()
