"""Reading a price book from TOML; everything that is wrong with it is said at once, with line and key."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast, get_args

from cyclr_async.errors import ConfigurationError
from cyclr_async.usage.months.price_book import (
    CustomerKey,
    Price,
    PriceBook,
    RoundAt,
    RoundingRule,
    Tier,
    TierMode,
)
from cyclr_async.usage.months.toml_lines import Place, lines_of
from cyclr_async.usage.store.paths import shown

__all__ = ["PriceBookError", "load_price_book", "parse_price_book"]

_LARGEST: Final = 16 << 20
"""Bytes: some hundred thousand agreements. What is larger is not a price book."""
_MOST_ERRORS: Final = 20
_DIGITS: Final = 20
"""Of an amount or a price, before the point and after: with a count of 19 digits, products stay exact."""
_MONEY: Final = re.compile(r"\d{1,20}(?:\.\d{1,20})?", re.ASCII)
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_INT64: Final = 2**63 - 1
# ISO 4217, all that have not two: half a yen on an invoice is an amount that nobody can pay.
_MINOR_UNITS: Final = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}
_PLAN_KEYS: Final = (
    "name",
    "fee",
    "included_tasks",
    "unit_price",
    "tiers",
    "tier_mode",
    "included_cycles",
    "cycle_price",
    "minimum",
)
_TOP_KEYS: Final = ("currency", "decimals", "rounding", "round_at", "customer", "plans", "accounts", "audit_info")
_UNPRICED: Final = (Tier(None, Decimal(0)),)


class PriceBookError(ConfigurationError):
    """A price book cannot be used.

    Attributes:
        problems: what is wrong, one sentence each, with line and key.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[str, ...] = tuple(problems)


def load_price_book(path: str | os.PathLike[str]) -> PriceBook:
    """Read a price book.

    Args:
        path: of the TOML file; ``docs/monthly-close.md`` says what stands in it.

    Raises:
        PriceBookError: it cannot be read, or something in it is wrong; the message says what, where, and what to do.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise PriceBookError(f"the price book {shown(path)} cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise PriceBookError(f"the price book {shown(path)} is larger than {_LARGEST >> 20} MiB: name another file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PriceBookError(f"{shown(path)}:{line}: this is not UTF-8: save the price book as UTF-8") from None
    return parse_price_book(text, name=shown(path))


def parse_price_book(text: str, *, name: str = "prices.toml") -> PriceBook:
    """Read a price book from a text.

    Args:
        text: TOML.
        name: of the file, for messages.

    Raises:
        PriceBookError: something is wrong with it.
    """
    try:
        document = tomllib.loads(text, parse_float=_exact_number)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        where = f"{name}:{found[1]}" if found else name
        raise PriceBookError(f"{where}: this is no TOML: {error}") from None
    except (ValueError, RecursionError):
        # What the parser lets through of Python itself: whole numbers of thousands of digits, and lists in lists in
        # lists. It does not say where they stand.
        raise PriceBookError(
            f"{name}: a number has too many digits, or values are nested too deeply: no price book needs either"
        ) from None
    reader = _Reader(document, text, name)
    book = reader.book()
    if reader.problems:
        shown_ = reader.problems[:_MOST_ERRORS]
        more = len(reader.problems) - len(shown_)
        lines = [*shown_, *([f"and {more:,} more"] if more else [])]
        raise PriceBookError("the price book cannot be used:\n" + "\n".join(lines), reader.problems)
    return book


def _exact_number(text: str) -> Decimal | str:
    """Return a number with a point as what is written, and never as a float."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text  # an exponent of so many digits that decimals know none: the key that has it is refused as any text


class _Reader:
    def __init__(self, document: Mapping[str, Any], text: str, name: str) -> None:
        self._document = document
        self._text = text
        self._name = name
        self.problems: list[str] = []

    @cached_property
    def _lines(self) -> Mapping[Place, int]:
        # Only where something is wrong: of a book with all its customers in it this takes longer than reading it.
        return lines_of(self._text)

    def wrong(self, place: Place, what: str) -> None:
        """Note a problem at a place, or at the nearest place above it that has a line."""
        near = place
        while near and near not in self._lines:
            near = near[:-1]
        line = self._lines.get(near, 1)
        self.problems.append(f"{self._name}:{line}: {_key_text(place)}: {what}" if place else f"{self._name}: {what}")

    def book(self) -> PriceBook:
        document = self._document
        self._known((), document, _TOP_KEYS)
        currency = document.get("currency")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            place: Place = ("currency",) if "currency" in document else ()
            self.wrong(place, "currency must be three capital letters, such as 'EUR'")
            currency = "ZZZ"
        decimals = self._whole((), document, "decimals", _MINOR_UNITS.get(currency, 2), most=4)
        plans = {key: self._plan(key, table) for key, table in self._tables("plans").items()}
        if not plans and not self.problems:
            self.wrong((), "it has no plans: add a table such as [plans.1], or [plans.default] for every account")
        return PriceBook(
            currency=currency,
            decimals=decimals,
            rounding=cast("RoundingRule", self._choice((), document, "rounding", get_args(RoundingRule), "half_up")),
            round_at=cast("RoundAt", self._choice((), document, "round_at", get_args(RoundAt), "line")),
            customer=cast("CustomerKey", self._choice((), document, "customer", get_args(CustomerKey), "account")),
            plans=plans,
            accounts=self._agreements("accounts", plans),
            audit_infos=self._agreements("audit_info", plans),
        )

    def _tables(self, name: str) -> dict[str, Mapping[str, Any]]:
        """Return the tables below a table; anything else there is wrong."""
        tables = self._document.get(name, {})
        if not isinstance(tables, Mapping):
            self.wrong((name,), f"{name} holds tables, such as [{name}.1]")
            return {}
        for key, table in tables.items():
            if not isinstance(table, Mapping):
                self.wrong((name, key), f"this belongs into a table of its own: [{_key_text((name, key))}]")
        return {key: table for key, table in tables.items() if isinstance(table, Mapping)}

    def _plan(self, key: str, table: Mapping[str, Any]) -> Price:
        place: Place = ("plans", key)
        # Written as the API's numbers are: the prices of a plan 007 would never be those of plan 7.
        if key != "default" and not re.fullmatch(r"0|-?[1-9]\d{0,18}", key, re.ASCII):
            self.wrong(place, "a plan is named by its number, as `cyclr plans` shows it, or 'default'")
        self._known(place, table, _PLAN_KEYS)
        return Price(source=_key_text(place), **{**_DEFAULTS, **self._terms(place, table)})

    def _agreements(self, name: str, plans: Mapping[str, Price]) -> dict[str, Mapping[str, object]]:
        found: dict[str, Mapping[str, object]] = {}
        for key, table in self._tables(name).items():
            place: Place = (name, key)
            self._known(place, table, ("plan", *_PLAN_KEYS))
            terms = self._terms(place, table)
            if "plan" in table:
                plan = table["plan"]
                if isinstance(plan, bool) or not isinstance(plan, (int, str)) or str(plan) not in plans:
                    self.wrong((*place, "plan"), f"there is no plan {plan!r} in this book: {_listed(list(plans))}")
                terms["plan"] = str(plan)
            named = plans.get(str(terms.get("plan")))
            under = plans.values() if named is None else (named,)
            if (
                "cycle_price" in terms
                and "included_cycles" not in terms
                and any(p.included_cycles is None for p in under)
            ):
                # Laid over a plan whose cycles are free it would be a price that nobody is ever charged.
                self.wrong((*place, "cycle_price"), "cycle_price needs included_cycles: its plan may have none")
            found[key] = terms
        return found

    def _terms(self, place: Place, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a table says, checked; what it does not say is left out, so that it stays what the plan says."""
        terms: dict[str, Any] = {}
        for key in ("fee", "minimum", "cycle_price"):
            if key in table:
                terms[key] = self._money((*place, key), table[key])
        for key in ("included_tasks", "included_cycles"):
            if key in table:
                terms[key] = self._whole(place, table, key, 0)
        if "name" in table:
            terms["name"] = table["name"]
            if not isinstance(table["name"], str):
                self.wrong((*place, "name"), "a name is a text")
        if "tier_mode" in table:
            terms["tier_mode"] = self._choice(place, table, "tier_mode", get_args(TierMode), "graduated")
        tiers = self._tiers_of(place, table)
        if tiers is not None:
            terms["tiers"] = tiers
        if "cycle_price" in table and "included_cycles" not in table and place[0] == "plans":
            self.wrong((*place, "cycle_price"), "cycle_price needs included_cycles: 0 when every cycle costs")
        return terms

    def _tiers_of(self, place: Place, table: Mapping[str, Any]) -> tuple[Tier, ...] | None:
        if "unit_price" in table and "tiers" in table:
            self.wrong((*place, "unit_price"), "unit_price and tiers exclude each other: give one of them")
        if "unit_price" in table:
            return (Tier(None, self._money((*place, "unit_price"), table["unit_price"])),)
        return self._tiers((*place, "tiers"), table["tiers"]) if "tiers" in table else None

    def _tiers(self, place: Place, value: Any) -> tuple[Tier, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(tier, Mapping) for tier in value):
            self.wrong(place, "tiers are a list such as [{ up_to = 1000, price = '0.02' }, { price = '0.01' }]")
            return _UNPRICED
        tiers: list[Tier] = []
        last = 0
        for index, tier in enumerate(value):
            here = (*place, index)
            self._known(here, tier, ("up_to", "price"))
            end = index == len(value) - 1
            up_to: int | None = None
            if "up_to" in tier:
                up_to = self._whole(here, tier, "up_to", 0)
                if up_to <= last:
                    self.wrong((*here, "up_to"), f"tiers go up: this one must end after {last}")
                if end:
                    self.wrong((*here, "up_to"), "the last tier goes on for ever: leave its up_to out")
                last = up_to
            elif not end:
                self.wrong(here, "only the last tier has no up_to")
            if "price" not in tier:
                self.wrong(here, "a tier needs a price")
            tiers.append(Tier(up_to, self._money((*here, "price"), tier.get("price", 0))))
        return tuple(tiers)

    def _money(self, place: Place, value: Any) -> Decimal:
        text = str(value) if isinstance(value, (int, Decimal, str)) and not isinstance(value, bool) else ""
        # 2e-3 as 0.002; but 1e999999999 would be a text of a gigabyte.
        if isinstance(value, Decimal) and value.is_finite() and value >= 0 and abs(value.adjusted()) <= _DIGITS:
            text = format(value, "f")
        if not _MONEY.fullmatch(text):
            self.wrong(
                place,
                f"{_value_text(value)} is no amount: write 0 or more with up to {_DIGITS} digits on each side of the "
                "point, such as '0.0025'",
            )
            return Decimal(0)
        return Decimal(text)

    def _whole(self, place: Place, table: Mapping[str, Any], key: str, default: int, most: int = _INT64) -> int:
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            limit = "" if most == _INT64 else f", {most} at most"
            self.wrong((*place, key), f"{_value_text(value)} is no whole number, 0 or more{limit}")
            return default
        return value

    def _choice(self, place: Place, table: Mapping[str, Any], key: str, choices: Sequence[str], default: str) -> str:
        value = table.get(key, default)
        if value not in choices:
            self.wrong((*place, key), f"{_value_text(value)} is none of {_listed(choices)}")
            return default
        return str(value)

    def _known(self, place: Place, table: Mapping[str, Any], keys: Sequence[str]) -> None:
        for key in table:
            if key not in keys:
                near = difflib.get_close_matches(key, keys, 1)
                meant = f": did you mean {near[0]}?" if near else f"; there are {', '.join(keys)}"
                self.wrong((*place, key), f"there is no such key{meant}")


_DEFAULTS: Final[dict[str, Any]] = {
    "name": None,
    "fee": Decimal(0),
    "included_tasks": 0,
    "tiers": _UNPRICED,
    "tier_mode": "graduated",
    "included_cycles": None,
    "cycle_price": Decimal(0),
    "minimum": Decimal(0),
}


def _key_text(place: Place) -> str:
    """Return a place as it is written in TOML, the element of a list in brackets."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part) is not None
            text += ("." if text else "") + (
                part if bare else '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
            )
    return text


def _value_text(value: Any) -> str:
    text = ascii(str(value)) if isinstance(value, Decimal) else ascii(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
