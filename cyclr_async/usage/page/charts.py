"""The charts of the page, from what the pass over the accounts has added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from cyclr_async.usage.page.data import PageMonth
from cyclr_async.usage.page.svg import Chart, element, hatching, label, rect, round_steps
from cyclr_async.usage.page.tally import Bin, PlanShare, Ranked
from cyclr_async.usage.page.words import (
    NOTHING,
    change,
    count,
    counted,
    money,
    percent,
    short_count,
    shorten,
    signed,
    text_width,
    visible,
)

__all__ = ["allowance_chart", "changes_chart", "distribution_chart", "plan_chart", "top_chart", "trend_chart"]

_NARROW: Final = 480
"""Pixels of a chart of which two stand side by side; on a phone its text is still 10 pixels high."""
_WIDE: Final = 980
_ROW: Final = 36
"""Pixels of a row of bars: a line of text and the bar below it, since names are longer than any column beside it."""
_BAR: Final = 10
_PLANS: Final = 12
"""Plans that are drawn, as many as the other charts have rows; the table has all."""
_SIZE: Final = 13
"""Pixels of the text of a row, as in chart.css."""
_SPACE: Final = 12
"""Pixels between the name of a row and its figures; a name is cut to leave them, and the table below has it whole."""


@attrs.frozen
class _Row:
    name: str
    text: str
    parts: Sequence[tuple[int, str]]
    mark: int | None = None


def _name(ranked: Ranked) -> str:
    return visible(ranked.name or ranked.account_id)


def _bars(rows: Sequence[_Row], highest: int) -> tuple[int, str]:
    """Draw rows of bars below each other, and return the height with the drawing."""
    drawn = []
    scale = _NARROW / max(highest, 1)
    for index, row in enumerate(rows):
        top = index * _ROW
        room = _NARROW - text_width(row.text, _SIZE) - _SPACE
        drawn.append(label(0, top + 14, shorten(row.name, max(room, _SIZE * 2), _SIZE)))
        drawn.append(label(_NARROW, top + 14, row.text, "end quiet"))
        x = 0.0
        for value, kind in row.parts:
            # What is there is seen, however small beside the largest.
            width = max(value * scale, 1.5) if value else 0.0
            drawn.append(rect(x, top + 20, width, _BAR, kind))
            if kind.startswith("url("):
                drawn.append(rect(x, top + 20, width, _BAR, "outline"))
            x += width
        if row.mark is not None:
            at = min(max(row.mark * scale, 1), _NARROW - 1)  # at the edges half of it would be cut off
            # Light around it, so that it is seen on a dark bar.
            drawn.append(element("line", x1=at, x2=at, y1=top + 17, y2=top + 33, class_="halo"))
            drawn.append(element("line", x1=at, x2=at, y1=top + 17, y2=top + 33, class_="mark"))
    return max(len(rows) * _ROW, 20), "".join(drawn)


def _key(entries: Sequence[tuple[str, str]], y: float) -> str:
    """Draw what the kinds of bars mean, in one line."""
    x = 0.0
    drawn = []
    for kind, text in entries:
        if kind == "mark":
            drawn.append(element("line", x1=x + 6, x2=x + 6, y1=y - 12, y2=y + 3, class_="mark"))
        else:
            drawn.append(rect(x, y - 10, 12, 12, kind))
            if kind.startswith("url("):
                drawn.append(rect(x, y - 10, 12, 12, "outline"))
        drawn.append(label(x + 18, y, text, "quiet small"))
        x += 34 + text_width(text, 12)
    return "".join(drawn)


def _below(drawing: tuple[int, str], key: Sequence[tuple[str, str]]) -> tuple[int, str]:
    height, body = drawing
    return height + 26, body + _key(key, height + 18)


def trend_chart(months: Sequence[PageMonth]) -> Chart:
    """Draw the tasks of every month as columns; those that may still rise are hatched, those not known say so."""
    top, bottom, left = 22, 250, 52
    known = [month.tasks for month in months if month.tasks is not None]
    steps = round_steps(max(known, default=0), 5)
    scale = (bottom - top) / steps[-1]
    drawn = [hatching("trend-hatch")]
    for step in steps:
        y = bottom - step * scale
        drawn.append(element("line", x1=left, x2=_WIDE, y1=y, y2=y, class_="axis" if step == 0 else "grid"))
        drawn.append(label(left - 8, y + 4, short_count(step), "end quiet small"))
    pitch = (_WIDE - left) / max(len(months), 1)
    for index, month in enumerate(months):
        x, middle = left + index * pitch + pitch * 0.16, left + (index + 0.5) * pitch
        width = pitch * 0.68
        name, _, year = month.label.partition(" ")
        drawn.append(label(middle, bottom + 18, name, "middle small"))
        # The year once, where it begins, and below the first month.
        if year and (index == 0 or not months[index - 1].label.endswith(year)):
            drawn.append(label(middle, bottom + 33, year, "middle quiet small"))
        if month.tasks is None:
            drawn.append(label(middle, bottom - 8, "no data", "middle quiet small"))
            continue
        height = month.tasks * scale
        if month.provisional:
            drawn.append(rect(x, bottom - height, width, height, "url(#trend-hatch)"))
            drawn.append(rect(x, bottom - height, width, height, "outline"))
        else:
            drawn.append(rect(x, bottom - height, width, height, "full" if index == len(months) - 1 else "soft"))
        last = index == len(months) - 1
        drawn.append(label(middle, bottom - height - 6, short_count(month.tasks), f"middle small{' strong' * last}"))
    drawing = bottom + 38, "".join(drawn)
    if any(month.provisional for month in months):
        drawing = _below(drawing, [("url(#trend-hatch)", "provisional: may still rise")])
    return Chart(
        "trend",
        f"Tasks by month, {len(months)} months",
        _trend_words(months),
        _WIDE,
        *drawing,
        ("Month", "Tasks", "Accounts with a figure", "of these provisional"),
        [
            (
                month.label,
                "no data" if month.tasks is None else count(month.tasks),
                count(month.accounts),
                count(month.provisional),
            )
            for month in months
        ],
    )


def _trend_words(months: Sequence[PageMonth]) -> str:
    known = [(month.label, month.tasks) for month in months if month.tasks is not None]
    if not known:
        return "No month has figures."
    (first, begin), (last, end) = known[0], known[-1]
    highest = max(known, key=lambda month: month[1])
    ratio = f", {change(end, begin)}" if begin else ""
    return (
        f"From {counted(begin, 'task')} in {first} to {count(end)} in {last}{ratio}. "
        f"The highest month is {highest[0]} with {count(highest[1])}."
    )


def distribution_chart(bins: Sequence[Bin]) -> Chart:
    """Draw, for each size of account, its share of the accounts beside its share of the tasks."""
    accounts, tasks = sum(found.accounts for found in bins), sum(found.tasks for found in bins)
    top, bottom = 18, 230
    highest = max((max(_share(b.accounts, accounts), _share(b.tasks, tasks)) for b in bins), default=0.0) or 1.0
    pitch = _NARROW / max(len(bins), 1)
    drawn = [element("line", x1=0, x2=_NARROW, y1=bottom, y2=bottom, class_="axis")]
    for index, found in enumerate(bins):
        for side, (part, whole, kind) in enumerate(((found.accounts, accounts, "soft"), (found.tasks, tasks, "full"))):
            height = _share(part, whole) * (bottom - top) / highest
            width = pitch * 0.4
            x = index * pitch + pitch * 0.08 + side * (width + pitch * 0.04)
            drawn.append(rect(x, bottom - height, width, height, kind))
            if part:
                drawn.append(
                    label(x + width / 2, bottom - height - 4, _whole_percent(part, whole), "middle quiet small")
                )
        drawn.append(label((index + 0.5) * pitch, bottom + 16, found.short_label, "middle small"))
    drawn.append(label(_NARROW / 2, bottom + 36, "tasks of an account", "middle quiet small"))
    drawing = _below((bottom + 44, "".join(drawn)), [("soft", "share of accounts"), ("full", "share of tasks")])
    most = max(bins, key=lambda found: found.accounts, default=None)
    heavy = max(bins, key=lambda found: found.tasks, default=None)
    words = (
        f"Most accounts, {percent(most.accounts, accounts)}, have {most.label} tasks. "
        f"Most tasks, {percent(heavy.tasks, tasks)}, come from accounts with {heavy.label}."
        if most and heavy
        else "No account has a figure."
    )
    return Chart(
        "distribution",
        "Accounts and tasks by size of account",
        words,
        _NARROW,
        *drawing,
        ("Tasks of an account", "Accounts", "Share of accounts", "Tasks", "Share of tasks"),
        [
            (b.label, count(b.accounts), percent(b.accounts, accounts), count(b.tasks), percent(b.tasks, tasks))
            for b in bins
        ],
    )


def _whole_percent(part: int, whole: int) -> str:
    rounded = (200 * part + whole) // (2 * whole) if whole else 0
    # Something is not nothing.
    return f"{rounded}%" if rounded else "<1%"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def top_chart(largest: Sequence[Ranked], total: int) -> Chart:
    """Draw the accounts with most tasks, with a mark where they were in the period before."""
    rows = [_Row(_name(a), count(a.tasks), [(a.tasks, "full")], a.previous) for a in largest]
    highest = max((max(a.tasks, a.previous or 0) for a in largest), default=0)
    drawing = _bars(rows, highest)
    if any(a.previous is not None for a in largest):
        drawing = _below(drawing, [("full", "this period"), ("mark", "the period before")])
    together = sum(a.tasks for a in largest)
    return Chart(
        "top",
        "Accounts with most tasks",
        f"The {len(largest)} largest have {counted(together, 'task')}, {percent(together, total)} of all.",
        _NARROW,
        *drawing,
        ("Account", "Id", "Tasks", "Share", "Period before"),
        [
            (
                _name(a),
                a.account_id,
                count(a.tasks),
                percent(a.tasks, total),
                NOTHING if a.previous is None else count(a.previous),
            )
            for a in largest
        ],
    )


def changes_chart(risers: Sequence[Ranked], fallers: Sequence[Ranked]) -> Chart:
    """Draw the accounts that rose and fell most against the period before, on one scale."""
    both = [*risers, *fallers]
    highest = max((abs(a.change) for a in both), default=0)
    parts: list[tuple[int, str]] = []
    for heading, accounts, kind in (
        ("Rose most", risers, "full"),
        ("Fell most", fallers, "url(#changes-hatch)"),
    ):
        if accounts:
            rows = [
                _Row(_name(a), f"{signed(a.change)} ({change(a.tasks, a.previous or 0)})", [(abs(a.change), kind)])
                for a in accounts
            ]
            height, body = _bars(rows, highest)
            parts.append((height + 34, label(0, 14, heading, "strong") + _moved(body, 24)))
    height, body = _stacked(parts)
    words = " ".join(
        f"{verb} most: {_name(a[0])}, {signed(a[0].change)}." for verb, a in (("Rose", risers), ("Fell", fallers)) if a
    )
    return Chart(
        "changes",
        "Risers and fallers",
        words or "No account can be compared with the period before.",
        _NARROW,
        height,
        hatching("changes-hatch") + body,
        ("Account", "Id", "Period before", "Tasks", "Change", "In percent"),
        [
            (
                _name(a),
                a.account_id,
                count(a.previous or 0),
                count(a.tasks),
                signed(a.change),
                change(a.tasks, a.previous or 0),
            )
            for a in both
        ],
    )


def _moved(body: str, y: float) -> str:
    return element("g", body, transform=f"translate(0 {y:g})")


def _stacked(parts: Sequence[tuple[int, str]]) -> tuple[int, str]:
    y = 0
    drawn = []
    for height, body in parts:
        drawn.append(_moved(body, y))
        y += height
    return max(y, 20), "".join(drawn)


def allowance_chart(over: Sequence[Ranked], currency: str | None) -> Chart:
    """Draw the accounts above what their plans include: the included part, and the part over it."""

    def text(a: Ranked) -> str:
        amount = "" if a.charge is None else f" · {money(a.charge, currency)}"
        return f"+{count(a.over)}{amount}"

    rows = [_Row(_name(a), text(a), [(a.included or 0, "soft"), (a.over, "over")]) for a in over]
    drawing = _below(_bars(rows, max((a.tasks for a in over), default=0)), [("soft", "included"), ("over", "over")])
    return Chart(
        "allowance",
        "Most over their allowance",
        " ".join(f"{_name(a)}: {counted(a.over, 'task')} over {count(a.included or 0)}." for a in over[:3])
        or "No account is over its allowance.",
        _NARROW,
        *drawing,
        ("Account", "Id", "Tasks", "Included", "Over", "Charge"),
        [
            (
                _name(a),
                a.account_id,
                count(a.tasks),
                count(a.included or 0),
                count(a.over),
                NOTHING if a.charge is None else money(a.charge, currency),
            )
            for a in over
        ],
    )


def plan_chart(plans: Sequence[PlanShare], total: int, currency: str | None) -> Chart:
    """Draw the tasks of the largest plans, with a mark at what their accounts may use together."""
    drawn = plans[:_PLANS]
    rows = [
        _Row(visible(p.plan), f"{count(p.tasks)} ({percent(p.tasks, total)})", [(p.tasks, "full")], p.included)
        for p in drawn
    ]
    highest = max((max(p.tasks, p.included or 0) for p in drawn), default=0)
    drawing = _bars(rows, highest)
    if any(p.included is not None for p in drawn):
        drawing = _below(drawing, [("full", "used"), ("mark", "included, all its accounts together")])
    return Chart(
        "plans",
        "Tasks by price plan",
        " ".join(
            f"{visible(p.plan)}: {counted(p.tasks, 'task')} of {counted(p.accounts, 'account')}." for p in drawn[:4]
        )
        + (f" {len(drawn)} of {len(plans)} plans are drawn." if len(plans) > len(drawn) else ""),
        _NARROW,
        *drawing,
        ("Plan", "Accounts", "Tasks", "Share", "Included", "Accounts over", "Tasks over", "Charge"),
        [
            (
                visible(p.plan),
                count(p.accounts),
                count(p.tasks),
                percent(p.tasks, total),
                NOTHING if p.included is None else count(p.included),
                count(p.accounts_over),
                count(p.tasks_over),
                NOTHING if p.charge is None else money(p.charge, currency),
            )
            for p in plans
        ],
    )
