"""TLS variants of the fault server: one authority the client trusts, and servers that are wrong in one way each."""

from __future__ import annotations

import datetime as dt
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path

import trustme

__all__ = ["TlsWorld"]

_HOST = "127.0.0.1"


@dataclass(frozen=True)
class TlsWorld:
    """Server contexts by name, and the file with the certificate of the authority they should come from."""

    authority_file: Path
    good: ssl.SSLContext
    self_signed: ssl.SSLContext
    wrong_host: ssl.SSLContext
    expired: ssl.SSLContext
    old_protocol: ssl.SSLContext

    @classmethod
    def build(cls, folder: Path) -> TlsWorld:
        authority = trustme.CA()
        stranger = trustme.CA()
        authority_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(authority_file)
        past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        old = _context(authority.issue_cert(_HOST))
        old.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():  # that it is deprecated is the point
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        return cls(
            authority_file=authority_file,
            good=_context(authority.issue_cert(_HOST)),
            self_signed=_context(stranger.issue_cert(_HOST)),
            wrong_host=_context(authority.issue_cert("other.example.com")),
            expired=_context(authority.issue_cert(_HOST, not_before=past, not_after=past + dt.timedelta(days=9))),
            old_protocol=old,
        )


def _context(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context
