import subprocess
import sys
from datetime import datetime
from typing import Any

import attrs
import pytest

from cyclr_async.errors import DecodeError
from cyclr_async.partner import Account, PricePlan
from cyclr_async.secret import Secret
from cyclr_async.wire.converter import converter, decode, structure, structure_list, unstructure
from cyclr_async.wire.extra import EMPTY, as_extra

GOOD = {"Id": "2", "Name": "Starter"}


@pytest.mark.parametrize("data", [None, [], "x", 1, True, 1.5, [GOOD]])
def test_wrong_top_level_shape(data: object) -> None:
    with pytest.raises(DecodeError) as caught:
        structure(data, PricePlan)
    assert (caught.value.path, caught.value.expected) == ("$", "object")


@pytest.mark.parametrize("data", [None, {}, GOOD, "x", 1])
def test_a_list_must_be_an_array(data: object) -> None:
    with pytest.raises(DecodeError) as caught:
        structure_list(data, PricePlan)
    assert (caught.value.path, caught.value.expected) == ("$", "array")


def test_lists() -> None:
    assert structure_list([GOOD, GOOD], PricePlan) == [PricePlan(id="2", name="Starter")] * 2
    with pytest.raises(DecodeError) as caught:
        structure_list([GOOD, GOOD, {"Id": 2, "Name": "x"}], PricePlan)
    assert caught.value.path == "$[2].Id"
    assert caught.value.__context__ is None
    models, problems = structure_list([GOOD, None, GOOD, {}], PricePlan, lenient=True)
    assert len(models) == 2
    assert [(index, error.path) for index, error in problems] == [(1, "$[1]"), (3, "$[3].Id")]


def test_names_are_matched_exactly() -> None:
    with pytest.raises(DecodeError) as caught:
        structure({"id": "2", "Name": "x"}, PricePlan)
    assert caught.value.path == "$.Id"


COERCIONS: list[tuple[Any, type]] = [
    (None, str),
    (1, str),
    (["x"], str),
    (True, str),
    ({}, str),
    (True, int),
    ("12", int),
    (1.9, int),
    (2.0, int),
    (None, int),
    (2**63, int),
    (-(2**63) - 1, int),
    (1e30, int),
    ("false", bool),
    (0, bool),
    (None, bool),
    (0, datetime),
    (None, datetime),
    ("2016-12-09", datetime),
    ("canary", datetime),
    (None, Secret),
    (1, Secret),
]


@pytest.mark.parametrize(("value", "kind"), COERCIONS)
def test_nothing_is_coerced(value: Any, kind: type) -> None:
    with pytest.raises(DecodeError) as caught:
        converter.structure(value, kind)
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_models_are_registered_with_cattrs() -> None:
    plan = converter.structure(GOOD, PricePlan)
    assert type(plan) is PricePlan
    assert converter.structure([GOOD], list[PricePlan]) == [plan]
    assert converter.unstructure(plan) == unstructure(plan) == GOOD


def test_decode() -> None:
    assert decode(b'{"Id":"2","Name":"\\ud800"}', PricePlan).name == "\ufffd"
    with pytest.raises(DecodeError, match="JSON"):
        decode(b"", PricePlan)


def test_integers_beyond_64_bits_are_refused_and_kept_when_unknown() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(b'{"Id":"1","Name":"a","PricePlanId":9223372036854775808}', Account)
    assert (caught.value.path, caught.value.expected) == ("$.PricePlanId", "int or null")
    kept = decode(b'{"Id":"1","Name":"a","Big":123456789012345678901234567890}', Account)
    assert kept.extra["Big"] == 123456789012345678901234567890


def test_a_class_without_a_strict_rule_is_refused_when_used() -> None:
    @attrs.frozen(kw_only=True)
    class Odd:
        price: float
        extra: Any = attrs.field(default=EMPTY, converter=as_extra)

    with pytest.raises(TypeError, match=r"Odd\.price"):
        structure({"Price": 1.0}, Odd)


def test_wire_and_models_load_no_http() -> None:
    code = (
        "import sys, cyclr_async.partner, cyclr_async.wire.stream, cyclr_async.wire.segments\n"
        "loaded = {'aiohttp', 'asyncio', 'ssl'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
