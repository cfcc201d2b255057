"""The list of accounts: its columns, the rows that are there before the script runs, and the data for the script.

The first rows are made from the same values that the script gets, so that readers that run none show what others show.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

import attrs

from cyclr_async.usage.page.data import PageMonth, PageReport
from cyclr_async.usage.page.tally import Tally
from cyclr_async.usage.page.words import NOTHING, change, count, escape, money, percent, signed, visible

__all__ = ["STATIC_ROWS", "Columns", "data_block", "first_rows", "static_row"]

STATIC_ROWS: Final = 100
"""Rows that are there without the script, as many as one page of the list has."""
PLAIN_BYTES: Final = 2_000_000
"""Data up to this size is there as readable JSON, since scanners of mail distrust what is encoded. More than that
(about 20,000 accounts) is deflated, which halves it although base64 adds a third."""
_BLOCK: Final = 3 * 16_384
"""Bytes that are encoded at once; a multiple of three, so that base64 can be written in pieces."""
_STATES: Final = {"f": "final", "p": "provisional", "n": "no figure"}
_GAUGE_FULL: Final = 50


@attrs.frozen
class Columns:
    """The columns of the list, those left out that no account has a value for."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, report: PageReport, tally: Tally) -> Columns:
        """Choose the columns of a report."""
        there = {
            "name": True,
            "plan": bool(tally.named_plans),
            "tasks": True,
            "change": report.previous_period is not None and tally.compared > 0,
            "included": tally.allowances > 0,
            "used": tally.allowances > 0,
            "charge": tally.charge is not None,
            "trend": tally.has_trend,
            "state": True,
        }
        return cls(tuple(name for name, wanted in there.items() if wanted))

    def head(self) -> str:
        """Return the row of headings."""
        cells = "".join(
            f'<th scope="col" class="c-{name} w-{name}{_alignment(name)}" data-column="{name}">{_HEADINGS[name]}</th>'
            for name in self.names
        )
        return f"<tr>{cells}</tr>"


_HEADINGS: Final = {
    "name": "Account",
    "plan": "Plan",
    "tasks": "Tasks",
    "change": "Change",
    "included": "Included",
    "used": "Used",
    "charge": "Charge",
    "trend": "Trend",
    "state": "State",
}


def _alignment(name: str) -> str:
    return " number" if name in {"tasks", "change", "included", "used", "charge"} else ""


def first_rows(tally: Tally) -> list[list[Any]]:
    """Return the values of the rows that are there without the script."""
    rows: list[list[Any]] = []
    for row in tally.rows():
        if len(rows) == STATIC_ROWS:
            break
        values = json.loads(row)
        rows.append(values + [None] * (13 - len(values)))
    return rows


def static_row(values: list[Any], columns: Columns, plans: list[str], currency: str | None) -> str:
    """Return a row of the list as HTML; the script makes the same one from the same values.

    Args:
        values: of the account; see :meth:`Tally.rows`.
        columns: of the list.
        plans: their names by number.
        currency: of the charges.
    """
    account_id, name, plan, state, tasks, previous, included, charge, _, trend, *_ = values
    tasks, previous, included = (None if n is None else int(n) for n in (tasks, previous, included))
    who = f'<bdi class="who">{escape(name or account_id)}</bdi>'
    if name is not None:
        who = f'<bdi class="who">{escape(name)}</bdi><bdi class="id">{escape(account_id)}</bdi>'
    cells = {
        "name": who,
        "plan": NOTHING if plan is None else f'<bdi class="plan">{escape(plans[plan])}</bdi>',
        "tasks": NOTHING if tasks is None else count(tasks),
        "change": _change_cell(tasks, previous),
        "included": NOTHING if included is None else count(included),
        "used": _used_cell(tasks, included),
        "charge": NOTHING if charge is None else escape(money(Decimal(charge), currency)),
        "trend": _spark(trend) if trend else NOTHING,
        "state": _state_cell(state),
    }
    parts = [
        f'<th class="c-{column}" scope="row">{cells[column]}</th>'
        if column == "name"
        else f'<td class="c-{column}{_alignment(column)}">{cells[column]}</td>'
        for column in columns.names
    ]
    return f"<tr>{''.join(parts)}</tr>\n"


def _change_cell(tasks: int | None, previous: int | None) -> str:
    if tasks is None or previous is None:
        return NOTHING
    return f'{signed(tasks - previous)}<span class="quiet">{change(tasks, previous)}</span>'


def _used_cell(tasks: int | None, included: int | None) -> str:
    if tasks is None or included is None or (tasks == 0 and included == 0):
        return NOTHING
    return f"{percent(tasks, included)}<br>{_gauge(tasks, included)}"


def _state_cell(state: str) -> str:
    kind = "tag" if state[0] == "f" else "tag alert"
    presence = {"w": "new", "g": "gone"}.get(state[1:], "")
    more = f' <span class="tag">{presence}</span>' if presence else ""
    return f'<span class="{kind}">{_STATES[state[0]]}</span>{more}'


def _spark(levels: str) -> str:
    bars = []
    for index, level in enumerate(levels):
        if level != "-":
            height = "0.5" if level == "0" else str(int(level) * 2)
            bars.append(f"M{index * 6} 16v-{height}h5v{height}z")
    box = f"0 0 {len(levels) * 6 - 1} 16"
    return (
        f'<svg class="spark" viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path d="{"".join(bars)}"/></svg>'
    )


def _gauge(tasks: int, included: int) -> str:
    # To a tenth of a unit of its box, and no further than twice the allowance.
    used = min(tasks * _GAUGE_FULL * 10 // included, _GAUGE_FULL * 10) / 10 if included else _GAUGE_FULL
    past = min(max(tasks - included, 0) * _GAUGE_FULL * 10 // included, _GAUGE_FULL * 10) / 10 if included else 50
    return (
        '<svg class="gauge" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="track" d="M0 0h50v10h-50z"/><path class="used" d="M0 0h{used:g}v10h-{used:g}z"/>'
        f'<path class="past" d="M50 0h{past:g}v10h-{past:g}z"/></svg>'
    )


def data_block(
    report: PageReport, months: Iterable[PageMonth], tally: Tally, *, plain_bytes: int = PLAIN_BYTES
) -> Iterator[bytes]:
    """Yield the element that holds the data of the script, in pieces.

    Args:
        report: names currency and reasons.
        months: of the trend.
        tally: has the rows.
        plain_bytes: up to which size the data is not compressed.
    """
    head = {
        "months": [visible(month.label) for month in months],
        "currency": report.currency,
        "plans": [visible(name) for name in tally.plan_names],
        "reasons": [_reason(report, key) for key in tally.reason_keys],
    }
    opening = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()[:-1] + b',"rows":[\n'
    size = sum(map(len, tally.rows()))

    def pieces() -> Iterator[bytes]:
        yield opening
        separator = b""
        for row in tally.rows():
            yield separator + row
            separator = b",\n"
        yield b"\n]}"

    if size <= plain_bytes:
        yield b'<script type="application/json" id="data">'
        # In a script no character references are known; "<" only occurs in texts, where JSON has its own escape.
        yield from (piece.replace(b"<", b"\\u003c") for piece in pieces())
    else:
        yield b'<script type="application/json" id="data" data-encoding="deflate">'
        yield from _encoded(pieces())
    yield b"</script>\n"


def _reason(report: PageReport, key: str) -> list[str]:
    known = report.reasons.get(key)
    parts = [key] if known is None else [known.title, known.meaning, known.action]
    return [visible(part.rstrip(".")) for part in parts if part]


def _encoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    deflater = zlib.compressobj()
    waiting = bytearray()
    for piece in pieces:
        waiting += deflater.compress(piece)
        while len(waiting) >= _BLOCK:
            yield base64.b64encode(waiting[:_BLOCK])
            del waiting[:_BLOCK]
    waiting += deflater.flush()
    yield base64.b64encode(waiting)
