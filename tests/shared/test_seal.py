"""The seal: opened by the same credentials only, and by nothing that was changed."""

from __future__ import annotations

import base64

import pytest

from cyclr_async.secret import Secret
from cyclr_async.shared.seal import BrokenSealError, Seal
from tests.support.canary import MARK

ABOUT = ("https://example.com/oauth/token", "client_credentials", "client", "")


@pytest.fixture(scope="module")
def seal() -> Seal:
    return Seal(Secret("canary-secret"), ABOUT)


def test_what_was_sealed_is_opened_by_the_same_credentials_elsewhere(seal: Seal) -> None:
    other = Seal(Secret("canary-secret"), ABOUT)
    for text in (b"", b"x", f"{MARK}token".encode() * 500):
        assert other.open(seal.close(text)) == text
    assert other.name == seal.name


def test_it_looks_different_every_time_and_shows_nothing(seal: Seal) -> None:
    text = f"{MARK}token".encode()
    sealed = [seal.close(text) for _ in range(200)]
    assert len(set(sealed)) == 200
    for one in sealed:
        one.decode("ascii")
        assert MARK.encode() not in base64.b64decode(one[2:])
    # Two records under one key stream would show their difference.
    assert len({base64.b64decode(one[2:])[:16] for one in sealed}) == 200


def test_every_changed_byte_is_noticed(seal: Seal) -> None:
    raw = bytearray(base64.b64decode(seal.close(b"token")[2:]))
    for place in range(len(raw)):
        raw[place] ^= 1
        with pytest.raises(BrokenSealError):
            seal.open(b"c1" + base64.b64encode(raw))
        raw[place] ^= 1
    assert seal.open(b"c1" + base64.b64encode(raw)) == b"token"
    for wrong in (b"", b"c1", b"c2" + base64.b64encode(raw), b"c1!", b"c1" + base64.b64encode(raw[:40])):
        with pytest.raises(BrokenSealError):
            seal.open(wrong)


@pytest.mark.parametrize(
    ("secret", "about"),
    [
        ("another", ABOUT),
        ("canary-secret", (*ABOUT[:3], "account:1")),
        ("canary-secret", ("https://example.com/oauth/token", "client_credentials", "clien", "t")),
        ("canary-secret", ("https://other.example.com/oauth/token", *ABOUT[1:])),
    ],
)
def test_other_credentials_have_another_record_and_open_nothing(
    seal: Seal, secret: str, about: tuple[str, ...]
) -> None:
    other = Seal(Secret(secret), about)
    assert other.name != seal.name
    with pytest.raises(BrokenSealError):
        other.open(seal.close(b"token"))


def test_the_construction_stays_as_it_is() -> None:
    """Processes of two versions read each other's records: a change would sign each of them in, again and again."""
    sealed = b"c1AAECAwQFBgcICQoLDA0OD3UENMWrlazqAOoJk2ZMAZVLs4f4GZjue6Orp72pAko5+rfOiQLUaQ=="
    seal = Seal(Secret("secret"), ("a", "b"))
    assert seal.name == "4454a4d10d8b1065450ab736d6d9eda0"
    assert seal.open(sealed) == b"a token"
