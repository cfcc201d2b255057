"""Tokens under a seal that only the credentials open, so that the place they are kept in gives nothing away.

There is no cipher in the standard library, and the file backend is to need nothing else. The seal is therefore made of
what is there, in the textbook way: SHAKE-256 over a secret key and a nonce that is never used twice is a key stream
(a sponge with a secret prefix is a pseudo-random function), and HMAC-SHA256 over everything, checked before anything is
opened, makes it authenticated (encrypt, then MAC). One construction serves both backends: two formats would mean that
a fault in either goes unnoticed by half of the users, and ``cryptography`` would bring a second OpenSSL into programs
that keep nothing but one short record here.

The key comes from the credentials by scrypt: a password or a short secret can be guessed, and with a plain hash whoever
reads the store could try a billion guesses a second.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from cyclr_async.secret import HiddenBytes, Secret

__all__ = ["BrokenSealError", "Seal"]

_VERSION: Final = b"c1"
"""In front of a sealed text: another construction would have another one, and be told apart."""
_NONCE: Final = 16
"""Bytes: with random ones, 2**64 records would have to be written under one key before one is likely to come twice."""
_TAG: Final = 32
# 16 MiB and some 50 ms, once per session: what OWASP asks of scrypt for passwords at the least (N=2**14, r=8, p=5 or
# N=2**17, p=1) would be 0.3 s at the start of every worker. A client secret is no password: it is random and long.
_COST: Final = 1 << 14
_BLOCK: Final = 8
_KEYS: Final = 96


class BrokenSealError(Exception):
    """What was read was not sealed with these credentials for this name, or was changed."""


class Seal:
    """Closes and opens what is stored under a name.

    Args:
        secret: the password or client secret.
        about: what the credentials are for: everything that tells them from others but is no secret.

    Making one takes some 50 ms of CPU: use a thread.
    """

    __slots__ = ("_lock", "_stream", "name")

    def __init__(self, secret: Secret, about: tuple[str, ...]) -> None:
        # Lengths in front, so that no two lists of texts run together into the same bytes.
        public = b"".join(b"%d:" % len(part) + part for part in (text.encode("utf-8") for text in about))
        # A salt has to differ between credentials and be the same for all who share: what they are for is both.
        salt = hashlib.sha256(b"cyclr-async shared token\0" + public).digest()
        keys = HiddenBytes(
            hashlib.scrypt(
                secret.reveal().encode("utf-8", "surrogatepass"), salt=salt, n=_COST, r=_BLOCK, p=1, dklen=_KEYS
            )
        )
        self._stream = HiddenBytes(keys[:32])
        self._lock = HiddenBytes(keys[32:64])
        self.name: str = hashlib.sha256(b"name\0" + salt + keys[64:]).hexdigest()[:32]
        """What the record is called. Part of it comes from the key: after a change of the secret, processes with the
        old one and with the new one keep two records and do not overwrite what the others cannot open."""

    def close(self, text: bytes) -> bytes:
        """Return a text sealed, as ASCII: some clients of Redis decode whatever they read."""
        nonce = secrets.token_bytes(_NONCE)
        body = nonce + self._mask(text, nonce)
        return _VERSION + base64.b64encode(body + self._tag(body))

    def open(self, sealed: bytes) -> HiddenBytes:
        """Return the text again.

        Raises:
            BrokenSealError: it was sealed with other credentials, or changed since.
        """
        try:
            raw = base64.b64decode(sealed.removeprefix(_VERSION), validate=True) if sealed[:2] == _VERSION else b""
        except ValueError:
            raw = b""
        body, tag = raw[:-_TAG], raw[-_TAG:]
        if len(body) < _NONCE or not hmac.compare_digest(tag, self._tag(body)):
            raise BrokenSealError
        return HiddenBytes(self._mask(body[_NONCE:], body[:_NONCE]))

    def _mask(self, text: bytes, nonce: bytes) -> bytes:
        # The key has a fixed length, so key and nonce cannot be confused with a longer key.
        stream = hashlib.shake_256(self._stream + nonce).digest(len(text))
        return bytes(left ^ right for left, right in zip(text, stream, strict=True))

    def _tag(self, body: bytes) -> bytes:
        # The name too, so that a record cannot be put in the place of another.
        return hmac.digest(self._lock, _VERSION + self.name.encode("ascii") + body, "sha256")
