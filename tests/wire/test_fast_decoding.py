"""Answers as documented are decoded the fast way: the diagnosis, thirty times as slow, is for the others."""

import copy
import json
import sys
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from types import FrameType
from typing import Any

import attrs
import pytest

from cyclr_async import partner, v1
from cyclr_async.errors import DecodeError
from cyclr_async.partner import Account, AccountUsage, Model, PartnerDetails, PricePlan, SignInToken
from cyclr_async.secret import Secret, SecretUrl
from cyclr_async.wire.converter import decode
from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.fields import NEVER, fields_of, is_model
from cyclr_async.wire.validation import validate
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


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Inner(Model):
    id: int
    key: Secret | None = None
    extra: Any = attrs.field(default=EMPTY, converter=as_extra, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Outer(Model):
    inner: Inner | None
    many: tuple[Inner, ...] | None
    tags: tuple[str, ...]
    ran: datetime | None = attrs.field(default=None, metadata=NEVER)
    free: Any = None
    extra: Any = attrs.field(default=EMPTY, converter=as_extra, hash=False)


OUTER = {
    "Inner": {"Id": 1, "Key": "k"},
    "Many": [{"Id": 2, "Key": None}, {"Id": 3, "Key": None, "New": {"a": [1]}}],
    "Tags": ["a"],
    "Ran": "0001-01-01T00:00:00Z",
    "Free": {"a": [1]},
}


@pytest.mark.parametrize("more", [{}, {"Inner": None, "Many": []}, {"Ran": "2026-01-01T00:00:00.5Z"}])
def test_models_within_models_are_decoded_the_fast_way(more: dict[str, Any]) -> None:
    data = {**OUTER, **more}
    body = json.dumps(data).encode()
    made = decode(body, Outer)
    assert functions_called(lambda: decode(body, Outer)) & SLOW == set()
    assert made.to_dict() == data == copy.deepcopy(made).to_dict()
    assert (made.ran is None) == (data["Ran"][:4] == "0001")
    assert validate(data, Outer) == made
    assert validate(data, Outer).to_dict() == data


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"Inner": []}, "$.Inner"),
        ({"Inner": {"Id": "1"}}, "$.Inner.Id"),
        ({"Many": {}}, "$.Many"),
        ({"Many": [{"Id": 1, "Key": None}, {"Id": 1, "Key": 5}]}, "$.Many[1].Key"),
        ({"Many": [None]}, "$.Many[0]"),
        ({"Tags": None}, "$.Tags"),
        ({"Tags": ["a", 1]}, "$.Tags[1]"),
        ({"Ran": 5}, "$.Ran"),
    ],
)
def test_what_is_wrong_within_is_named(more: dict[str, Any], path: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(json.dumps({**OUTER, **more}).encode(), Outer)
    assert caught.value.path == path
    assert caught.value.__context__ is None


def test_no_rule_is_made_up_for_other_types() -> None:
    wrong: Any = attrs.make_class(
        "Wrong", {"id": attrs.field(type=list[int]), "extra": attrs.field(default=EMPTY)}, slots=True
    )
    with pytest.raises(TypeError, match="no strict rule"):
        decode(b"{}", wrong)


def filled(cls: type[Any]) -> dict[str, Any]:
    """The JSON of a model in which every field has a value."""
    samples = {
        str: "a",
        int: 1,
        bool: True,
        Secret: "s",
        SecretUrl: "https://x.org/?a=b",
        datetime: "2026-01-01T00:00:00Z",
        object: {"a": [1]},
    }
    found = {}
    for field in fields_of(cls).fields:
        value = filled(field.kind) if is_model(field.kind) else samples[field.kind]
        found[field.wire] = [value, value] if field.many else value
    return found


V1_MODELS = [cls for name in v1.__all__ if is_model(cls := getattr(v1, name))]


@pytest.mark.parametrize("cls", V1_MODELS, ids=lambda cls: cls.__name__)
def test_models_of_v1_are_decoded_the_fast_way_and_written_back(cls: type[Any]) -> None:
    data = filled(cls)
    body = json.dumps(data).encode()
    made = decode(body, cls)
    assert functions_called(lambda: decode(body, cls)) & SLOW == set()
    assert made.extra is EMPTY
    assert made.to_dict() == data
