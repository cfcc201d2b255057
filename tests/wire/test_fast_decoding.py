"""Answers as documented are decoded the fast way: the diagnosis, thirty times as slow, is for the others."""

import json
import sys
from collections.abc import Callable
from contextlib import contextmanager
from functools import cached_property
from types import FrameType
from typing import Any

import attrs
import pytest

from cyclr_async import partner
from cyclr_async.partner import Account, AccountUsage, Model, PartnerDetails, PricePlan, SignInToken
from cyclr_async.wire.converter import decode
from cyclr_async.wire.extra import EMPTY, as_extra
from tests.support.examples import ACCOUNTS, DETAILS, PRICE_PLANS, SIGN_IN_TOKEN, USAGE

EXAMPLES: dict[type[Any], list[Any]] = {
    Account: json.loads(ACCOUNTS),
    AccountUsage: [json.loads(USAGE)],
    PartnerDetails: [json.loads(DETAILS)],
    PricePlan: json.loads(PRICE_PLANS),
    SignInToken: [json.loads(SIGN_IN_TOKEN)],
}


def functions_called(work: Callable[[], object]) -> set[str]:
    """The names of the Python functions that this calls."""
    called = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return called


SLOW = {"careful", "validate"}


def test_every_model_has_an_example() -> None:
    public = {getattr(partner, name) for name in partner.__all__}
    assert {cls for cls in public if attrs.has(cls)} == set(EXAMPLES)


@pytest.mark.parametrize("cls", EXAMPLES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("more", [{}, {"Unknown": {"a": [1]}}], ids=["as-documented", "with-a-new-field"])
def test_documented_answers_are_decoded_the_fast_way(cls: type[Any], more: dict[str, Any]) -> None:
    for example in EXAMPLES[cls]:
        body = json.dumps({**example, **more}).encode()
        decode(body, cls)  # compiles
        assert functions_called(lambda body=body: decode(body, cls)) & SLOW == set()  # type: ignore[misc]
        assert type(decode(body, cls)) is cls


def test_the_slow_way_would_be_seen() -> None:
    decode(b'{"Id":"2","Name":"Starter"}', PricePlan)
    with pytest.raises(ValueError, match=r"\$\.Id"):
        decode(b'{"Id":2,"Name":"Starter"}', PricePlan)

    def wrong() -> None:
        with _ignored():
            decode(b'{"Id":2,"Name":"Starter"}', PricePlan)

    assert functions_called(wrong) >= SLOW


@contextmanager
def _ignored() -> Any:
    with pytest.raises(ValueError):  # noqa: PT011 - which one was looked at above
        yield


class _Based:
    __slots__ = ("another",)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=True)
class WithWeakReferences(Model):
    id: str
    extra: Any = attrs.field(default=EMPTY, converter=as_extra)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class WithCachedProperty(Model):
    id: str
    extra: Any = attrs.field(default=EMPTY, converter=as_extra)

    @cached_property
    def twice(self) -> str:
        return self.id * 2


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class WithASlottedBase(_Based):
    id: str
    extra: Any = attrs.field(default=EMPTY, converter=as_extra)


@pytest.mark.parametrize("cls", [WithWeakReferences, WithCachedProperty, WithASlottedBase])
def test_a_model_of_another_layout_is_decoded_the_fast_way_too(cls: Any) -> None:
    body = b'{"Id":"2","New":1}'
    made = decode(body, cls)
    assert (type(made), made.id, dict(made.extra)) == (cls, "2", {"New": 1})
    assert functions_called(lambda: decode(body, cls)) & SLOW == set()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.id = "3"
    if cls is WithCachedProperty:
        assert made.twice == "22"
