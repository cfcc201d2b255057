"""The document's own answers, and everything that can be wrong with them, field by field."""

import copy
import json
import pickle
import traceback
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclr_async.errors import DecodeError
from cyclr_async.partner import Account, AccountUsage, PartnerDetails, PricePlan, SignInToken
from cyclr_async.secret import HiddenStr, Secret
from cyclr_async.wire import strict_json
from cyclr_async.wire.converter import decode, structure_list
from cyclr_async.wire.extra import EMPTY, Extra
from cyclr_async.wire.fields import fields_of
from cyclr_async.wire.model import Model

ACCOUNTS = b"""
    [
      {
        "Id": "00000000000000000000000000000000",
        "Name": "Demo Account",
        "Description": "This account is used for demos.",
        "PricePlanId": 2,
        "LastBillDate": "2017-02-09T16:23:08",
        "NextBillDate": "2017-03-09T16:23:08",
        "AuditInfo": "Demo"
      }
    ]
"""
DETAILS = b"""
    {
      "AnonymousAccountsEnabled":true,
      "ApplicationDisplayName":"Example Partner",
      "ApplicationIcon":"data:image/png;base64,...",
      "AppStyle":null,
      "ComingSoonConnectorsEnabled":true,
      "CustomConnectorsEnabled":true,
      "CycleNoun":"Cycle",
      "CycleSharingEnabled":true,
      "Domain":"partner.example.com",
      "IntercomAPIKey":null,
      "IntercomAppId":null,
      "IntercomSecretKey":null,
      "HeaderHtml":null,
      "FooterHtml":null
    }
"""
TOKEN = b"""
    {
      "ExpiresAtUtc": "2016-11-18T10:50:45.6509216Z",
      "Token": "0000000000000000000000000000000000000"
    }
"""
PLANS = b"""
    [
      {
        "Id": "2",
        "Name": "Starter"
      },
      {
        "Id": "3",
        "Name": "Pro"
      }
    ]
"""
USAGE = b"""
    {
      "TaskCount": 1623,
      "CycleCount": 10,
      "FromDate": "2016-12-09T16:23:08",
      "ToDate": "2017-01-08T16:23:08",
      "CurrentPricePlanId": 3,
      "AuditInfo": "Demo"
    }
"""
ANSWERS: dict[type[Model], dict[str, Any]] = {
    Account: json.loads(ACCOUNTS)[0],
    AccountUsage: json.loads(USAGE),
    PartnerDetails: {**json.loads(DETAILS), "IntercomAPIKey": "canary-1", "IntercomAppId": "canary-2"},
    PricePlan: json.loads(PLANS)[0],
    SignInToken: {**json.loads(TOKEN), "Token": "canary-3"},
}
FIELDS = [(cls, field) for cls in ANSWERS for field in fields_of(cls).fields]
MODELS = pytest.mark.parametrize("cls", list(ANSWERS), ids=lambda cls: cls.__name__)
PICKLED = pytest.mark.parametrize("cls", [Account, AccountUsage, PricePlan], ids=lambda cls: cls.__name__)


def test_accounts() -> None:
    assert structure_list(strict_json.loads(ACCOUNTS), Account) == [
        Account(
            id="00000000000000000000000000000000",
            name="Demo Account",
            description="This account is used for demos.",
            price_plan_id=2,
            last_bill_date=datetime(2017, 2, 9, 16, 23, 8, tzinfo=UTC),
            next_bill_date=datetime(2017, 3, 9, 16, 23, 8, tzinfo=UTC),
            audit_info="Demo",
        )
    ]


def test_details() -> None:
    details = decode(DETAILS, PartnerDetails)
    assert details == PartnerDetails(
        anonymous_accounts_enabled=True,
        application_display_name="Example Partner",
        application_icon="data:image/png;base64,...",
        coming_soon_connectors_enabled=True,
        custom_connectors_enabled=True,
        cycle_noun="Cycle",
        cycle_sharing_enabled=True,
        domain="partner.example.com",
    )
    assert list(details.to_dict()) == list(json.loads(DETAILS))


def test_details_secrets() -> None:
    details = PartnerDetails.from_dict({**json.loads(DETAILS), "IntercomSecretKey": "k"})
    assert details.intercom_secret_key == Secret("k")


def test_usage() -> None:
    assert decode(USAGE, AccountUsage) == AccountUsage(
        task_count=1623,
        cycle_count=10,
        from_date=datetime(2016, 12, 9, 16, 23, 8, tzinfo=UTC),
        to_date=datetime(2017, 1, 8, 16, 23, 8, tzinfo=UTC),
        current_price_plan_id=3,
        audit_info="Demo",
    )


def test_plans() -> None:
    starter, pro = structure_list(strict_json.loads(PLANS), PricePlan)
    assert (starter.id, starter.name, pro.id, pro.name) == ("2", "Starter", "3", "Pro")
    assert [starter.matches(value) for value in (2, "2", 3, "02", " 2", None, True, 2.0)] == [  # type: ignore[arg-type]
        True,
        True,
        False,
        False,
        False,
        False,
        False,
        False,
    ]
    assert not PricePlan(id="1", name="x").matches(True)
    assert not PricePlan(id="None", name="x").matches(None)


def test_token() -> None:
    token = decode(TOKEN, SignInToken)
    assert token.token == Secret("0" * 37)
    assert token.expires_at == datetime(2016, 11, 18, 10, 50, 45, 650_921, tzinfo=UTC)


@MODELS
def test_lossless_round_trip(cls: type[Model]) -> None:
    variants: list[dict[str, Any]] = [ANSWERS[cls]]
    for field in fields_of(cls).fields:
        if field.optional:
            variants += [
                {name: value for name, value in ANSWERS[cls].items() if name != field.wire},
                {**ANSWERS[cls], field.wire: None},
            ]
    variants += [{name: ANSWERS[cls][name] for name in ANSWERS[cls] if not field.optional or name != field.wire}]
    for data in [*variants, *({**data, "New": [{"a": None}], "": 1.5} for data in variants)]:
        model = cls.from_dict(data)
        assert model.to_dict() == data
        assert json.dumps(model.to_dict(), sort_keys=True) == json.dumps(data, sort_keys=True)
        assert cls.from_dict(model.to_dict()) == model
        assert copy.copy(model) == copy.deepcopy(model) == model
        assert copy.deepcopy(model).to_dict() == data


def test_date_texts_survive() -> None:
    data = {
        **ANSWERS[Account],
        "LastBillDate": "2017-02-09T16:23:08.1234567",
        "NextBillDate": "2017-03-09T16:23:08+01:00",
    }
    model = Account.from_dict(data)
    assert model.to_dict() == data
    assert pickle.loads(pickle.dumps(model)).to_dict() == data


def wrong_for(kind: type, optional: bool) -> list[Any]:
    wrong = [[], {}, ["x"], {"a": 1}, 1.5, -0.0]
    wrong += [] if optional else [None]
    wrong += [] if kind is int else [0, 1, 2**63]
    wrong += [2**63, -(2**63) - 1] if kind is int else []
    wrong += [] if kind is bool else [True, False]
    wrong += [] if kind in {str, Secret} else ["", "canary", "true", "1"]
    return wrong


@pytest.mark.parametrize(("cls", "field"), FIELDS, ids=lambda value: getattr(value, "wire", None) or value.__name__)
def test_every_field_alone(cls: type[Model], field: Any) -> None:
    for value in wrong_for(field.kind, field.optional):
        with pytest.raises(DecodeError) as caught:
            cls.from_dict({**ANSWERS[cls], field.wire: value})
        error = caught.value
        assert error.path == f"$.{field.wire}"
        assert error.__context__ is None
        assert error.expected.endswith(" or null") == field.optional
        assert "canary" not in str(error)
    without = {name: value for name, value in ANSWERS[cls].items() if name != field.wire}
    if field.optional:
        assert getattr(cls.from_dict(without), field.name) is None
    else:
        with pytest.raises(DecodeError) as caught:
            cls.from_dict(without)
        assert caught.value.path == f"$.{field.wire}"
        assert caught.value.expected.endswith("(required)")
        assert "found nothing" in str(caught.value)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
def test_mutations_end_in_a_model_or_a_decode_error(data: st.DataObject) -> None:
    cls = data.draw(st.sampled_from(list(ANSWERS)))
    names = list(ANSWERS[cls])
    removed = data.draw(st.sets(st.sampled_from(names), max_size=2))
    replaced = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=5), ANY_JSON, max_size=3))
    mutated = {name: value for name, value in ANSWERS[cls].items() if name not in removed} | replaced
    path, model = "", None
    try:
        model = cls.from_dict(mutated)
    except DecodeError as error:
        path = error.path
    if model is None:
        assert path.removeprefix("$.") in names
    else:
        assert json.dumps(model.to_dict(), sort_keys=True) == json.dumps(mutated, sort_keys=True)
        assert model.to_dict().keys() == mutated.keys()


@MODELS
def test_frozen_and_slotted(cls: type[Model]) -> None:
    model = cls.from_dict(ANSWERS[cls])
    assert type(model) is cls
    assert not hasattr(model, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        model.extra = EMPTY  # type: ignore[attr-defined]
    assert attrs.evolve(model) == model  # type: ignore[misc]


@MODELS
def test_equality_and_hash(cls: type[Model]) -> None:
    one, two = cls.from_dict(ANSWERS[cls]), cls.from_dict(dict(ANSWERS[cls]))
    more = cls.from_dict({**ANSWERS[cls], "New": [1]})
    assert one == two
    assert hash(one) == hash(two) == hash(more)
    assert one != more
    assert len({one, two, more}) == 2
    assert one.extra is two.extra is EMPTY  # type: ignore[attr-defined]


@PICKLED
def test_pickle(cls: type[Model]) -> None:
    for data in (ANSWERS[cls], {**ANSWERS[cls], "New": {"a": [1]}}):
        model = cls.from_dict(data)
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(model, protocol))
            assert again == model
            assert again.to_dict() == data
    assert pickle.loads(pickle.dumps(cls.from_dict(ANSWERS[cls]))).extra is EMPTY


@pytest.mark.parametrize("cls", [PartnerDetails, SignInToken])
def test_models_with_secrets_show_and_pickle_nothing(cls: type[Model]) -> None:
    model = cls.from_dict({**ANSWERS[cls], "SlackKey": "canary-4"})
    shown = f"{model!r} {model!s} {model} {model.to_dict()['Token' if cls is SignInToken else 'IntercomAPIKey']!r}"
    shown += repr(model.extra) + repr({k: v for k, v in model.to_dict().items() if k != "SlackKey"})  # type: ignore[attr-defined]
    assert "canary" not in shown
    with pytest.raises(TypeError, match="Secret") as caught:
        pickle.dumps(model)
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    assert "canary-1" in json.dumps(model.to_dict()) or "canary-3" in json.dumps(model.to_dict())
    assert isinstance(model.to_dict().get("Token", model.to_dict().get("IntercomAPIKey")), HiddenStr)


def test_extra_is_immutable_and_detached() -> None:
    model = Account.from_dict({**ANSWERS[Account], "New": {"a": [1]}})
    assert dict(model.extra) == {"New": {"a": [1]}}
    with pytest.raises(TypeError):
        model.extra["x"] = 1  # type: ignore[index]
    model.to_dict()["New"]["a"].append(2)
    assert model.to_dict()["New"] == {"a": [1]}
    assert isinstance(Account(id="1", name="a", extra={"B": 1}).extra, Extra)
    assert Account(id="1", name="a", extra={}).extra is EMPTY


def test_a_field_set_later_is_no_longer_absent() -> None:
    bare = Account.from_dict({"Id": "1", "Name": "a"})
    assert bare == Account.from_dict({"Id": "1", "Name": "a", "Description": None})
    assert bare.to_dict() == {"Id": "1", "Name": "a"}
    assert attrs.evolve(bare, description="x").to_dict() == {"Id": "1", "Name": "a", "Description": "x"}
