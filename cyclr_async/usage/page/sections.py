"""The sections of the page, as HTML: totals, charts with their figures, gaps, the age of it all, and the method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import dropwhile

import attrs

from cyclr_async.usage.page.account_table import Columns, first_rows, static_row
from cyclr_async.usage.page.charts import (
    allowance_chart,
    changes_chart,
    distribution_chart,
    plan_chart,
    top_chart,
    trend_chart,
)
from cyclr_async.usage.page.data import PageMonth, PageReason, PageReport
from cyclr_async.usage.page.svg import Chart
from cyclr_async.usage.page.tally import GapGroup, Tally
from cyclr_async.usage.page.words import change, count, counted, escape, moment, money, percent, signed

__all__ = ["Sections"]

_FILTERS = (
    # The last value says when a filter is offered: always, with a comparison, or with allowances.
    ("all", "All accounts", "always"),
    ("over", "Over allowance", "allowance"),
    ("near", "At 80% of allowance or more", "allowance"),
    ("rose", "Rose", "comparison"),
    ("fell", "Fell", "comparison"),
    ("new", "New", "always"),
    ("gone", "Gone", "always"),
    ("none", "Without a figure", "always"),
    ("provisional", "Provisional", "always"),
    ("uncompared", "Not compared", "comparison"),
)
_SIZES = (50, 100, 500, 2000)


@attrs.frozen
class Sections:
    """What the page is made of.

    Attributes:
        report: what it is about.
        months: the trend.
        tally: what the accounts come to.
    """

    report: PageReport
    months: Sequence[PageMonth]
    tally: Tally

    def charts(self) -> list[Chart]:
        """Return the charts that there are figures for, in the order of the page."""
        tally = self.tally
        found = []
        # Months before the first collection are no part of the trend; those that were missed since are.
        months = list(dropwhile(lambda month: month.tasks is None, self.months))
        if months:
            found.append(trend_chart(months))
        if tally.with_figure:
            found += [distribution_chart(tally.bins), top_chart(tally.largest, tally.tasks)]
        if tally.risers or tally.fallers:
            found.append(changes_chart(tally.risers, tally.fallers))
        if tally.over:
            found.append(allowance_chart(tally.most_over, self.report.currency))
        if tally.named_plans:
            found.append(plan_chart(tally.by_plan, tally.tasks, self.report.currency))
        return found

    def html(self) -> str:
        """Return everything between the style sheet and the data."""
        charts = {chart.name: chart for chart in self.charts()}
        parts = [
            ("summary", "Summary", self._summary()),
            ("trend", "Trend", _figure(charts.get("trend"), wide=True)),
            ("sizes", "Sizes", _figure(charts.get("distribution"))),
            ("largest", "Largest", _figure(charts.get("top"))),
            ("changes", "Changes", _figure(charts.get("changes"))),
            ("allowance", "Allowance", self._allowance(charts.get("allowance"))),
            ("plans", "Plans", _figure(charts.get("plans"))),
            ("gaps", "Gaps", self._gaps()),
            ("freshness", "Freshness", self._freshness()),
            ("accounts", "Accounts", self._accounts()),
            ("method", "Method", self._method()),
        ]
        shown = [(name, title, body) for name, title, body in parts if body]
        links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in shown)
        sections = {
            name: f'<section id="{name}" aria-labelledby="{name}-heading">{body}</section>\n' for name, _, body in shown
        }
        paired = ("sizes", "plans", "largest", "changes")
        there = [sections.pop(name) for name in paired if name in sections]
        pair = f'<div class="pair">\n{"".join(there)}</div>\n' if there else ""
        after = "trend" if "trend" in sections else "summary"
        body = "".join(text + (pair if name == after else "") for name, text in sections.items())
        return (
            f'<a class="skip" href="#accounts">Skip to the accounts</a>\n{self._header()}'
            f'<nav class="contents" aria-label="Sections"><ul>{links}</ul></nav>\n<main>\n{body}</main>\n'
            f"<footer><p>Made {moment(self.report.made_at)} by cyclr_async. This file holds all that it shows, and "
            "asks for nothing from elsewhere.</p></footer>\n"
        )

    def _header(self) -> str:
        choices = "".join(
            f'<label><input type="radio" name="appearance" id="appearance-{value}"{checked}>{text}</label>'
            for value, text, checked in (("system", "System", " checked"), ("light", "Light", ""), ("dark", "Dark", ""))
        )
        return (
            f"<header><div><h1>Usage, {escape(self.report.period)}</h1>"
            f'<p class="quiet"><bdi>{escape(self.report.partner)}</bdi> · {escape(self.report.span)}</p></div>'
            f'<fieldset class="appearance"><legend>Appearance</legend>{choices}</fieldset></header>\n'
        )

    def _summary(self) -> str:
        tally, report = self.tally, self.report
        tiles = [("Tasks", count(tally.tasks), self._compared())]
        about = [f"{count(tally.new)} new" if tally.new else "", f"{count(tally.gone)} gone" if tally.gone else ""]
        tiles.append(("Accounts with a figure", count(tally.with_figure), ", ".join(filter(None, about)) or "none new"))
        if tally.allowances:
            past = f"{counted(tally.tasks_over, 'task')} over" if tally.over else "nobody is over"
            tiles.append(("Accounts over allowance", count(tally.over), past))
        if tally.charge is not None:
            tiles.append(("Charges", money(tally.charge, report.currency), "of all accounts, by the price book"))
        gaps = sum(group.accounts for group in tally.gaps.values())
        missing = sum(group.accounts for group in tally.gaps.values() if not self._reason(group).settled)
        tiles.append(
            ("Without a figure", count(gaps), f"{count(missing)} of them to be collected" if gaps else "complete")
        )
        cells = "".join(
            f'<div class="tile"><dt>{name}</dt><dd><span class="figure">{escape(figure)}</span></dd>'
            f'<dd class="quiet">{escape(more)}</dd></div>'
            for name, figure, more in tiles
        )
        return f'{_heading("summary", "Summary")}{self._state(missing)}<dl class="tiles">{cells}</dl>'

    def _compared(self) -> str:
        tally = self.tally
        if not tally.compared or self.report.previous_period is None:
            return "not compared with an earlier period"
        difference = tally.compared_tasks - tally.previous_tasks
        ratio = change(tally.compared_tasks, tally.previous_tasks)
        return (
            f"{signed(difference)} ({ratio}) against {self.report.previous_period}, "
            f"over {counted(tally.compared, 'account')} with both"
        )

    def _state(self, missing: int) -> str:
        tally, report = self.tally, self.report
        if report.closed is not None:
            text = f"These figures are frozen: {report.closed}"
            return f'<p class="notice settled"><strong>Closed.</strong> {escape(text)}</p>'
        if not tally.provisional and not missing:
            return (
                '<p class="notice settled"><strong>Final.</strong> No figure may still rise, and none is missing.</p>'
            )
        rising = f"May still rise, observed before the period was over: {counted(tally.provisional, 'figure')}. "
        without = f"Without a figure, to be collected: {counted(missing, 'account')}. "
        return (
            f'<p class="notice"><strong>Not final.</strong> {rising if tally.provisional else ""}'
            f"{without if missing else ''}Do not bill from these totals as they are.</p>"
        )

    def _allowance(self, chart: Chart | None) -> str:
        tally = self.tally
        if not tally.allowances:
            return ""
        if chart is None:
            return (
                f"{_heading('allowance', 'Over allowance')}<p>Nobody is over the allowance; "
                f"{counted(tally.allowances, 'account')} have one.</p>"
            )
        owed = tally.over_charge
        amount = "" if owed is None else f". Altogether they are charged {money(owed, self.report.currency)}"
        more = "" if tally.over <= len(tally.most_over) else " The list of accounts below has them all."
        text = (
            f"{counted(tally.over, 'account')} over, of {count(tally.allowances)} with an allowance, by "
            f"{counted(tally.tasks_over, 'task')}{amount}.{more}"
        )
        figures = f"<div>{_figures(chart)}</div>"
        return (
            f'{_heading("allowance", escape(chart.title))}<p class="intro">{escape(text)}</p>'
            f'<div class="pair lean"><figure>{chart.inline()}</figure>{figures}</div>'
        )

    def _gaps(self) -> str:
        tally = self.tally
        heading = _heading("gaps", "Gaps")
        if not tally.gaps and not tally.not_compared:
            return f"{heading}<p>There are none: every account has a figure, and each is compared.</p>"
        parts = [heading]
        if tally.gaps:
            parts.append(
                self._reasons("Accounts without a figure. They are in no total.", tally.gaps, with_previous=True)
            )
        if tally.not_compared and self.report.previous_period is not None:
            parts.append(
                self._reasons(
                    "Accounts whose figure is not compared. It is in the totals, not in the change.",
                    tally.not_compared,
                    with_previous=False,
                )
            )
        return "".join(parts)

    def _reasons(self, caption: str, groups: dict[str, GapGroup], *, with_previous: bool) -> str:
        columns = ["Why", "Accounts", "What it means, and what to do", "For example"]
        if with_previous:
            columns.insert(2, "Tasks in the period before")
        rows = []
        for group in sorted(groups.values(), key=lambda group: -group.accounts):
            reason = self._reason(group)
            examples = ", ".join(f"<bdi>{escape(example[:80])}</bdi>" for example in group.examples)
            cells = [
                f'<th scope="row">{escape(reason.title)}</th>',
                f'<td class="number">{count(group.accounts)}</td>',
                f"<td>{escape(' '.join(filter(None, (reason.meaning, reason.action))))}</td>",
                f"<td>{examples}</td>",
            ]
            if with_previous:
                cells.insert(2, f'<td class="number">{count(group.previous_tasks)}</td>')
            rows.append(f"<tr>{''.join(cells)}</tr>")
        numeric = {"Accounts", "Tasks in the period before"}
        head = "".join(f'<th scope="col"{" class=number" if name in numeric else ""}>{name}</th>' for name in columns)
        return _table(caption, head, rows, kind="reasons" if with_previous else "reasons shorter")

    def _reason(self, group: GapGroup) -> PageReason:
        return self.report.reasons.get(group.reason, PageReason(group.reason or "Not known", ""))

    def _freshness(self) -> str:
        fresh = self.tally.freshness
        heading = _heading("freshness", "Data freshness")
        if fresh.oldest is None or fresh.newest is None:
            return f"{heading}<p>There are no figures, or nobody knows when they were observed.</p>"
        total = self.tally.with_figure
        rows = [
            f'<tr><th scope="row">{name}</th><td class="number">{count(number)}</td>'
            f'<td class="number">{percent(number, total)}</td></tr>'
            for name, number in [*fresh.by_age(), *([("not known", fresh.undated)] if fresh.undated else [])]
        ]
        # The first heading is of texts.
        head = '<th scope="col">Age</th>' + '<th scope="col" class="number">{}</th>' * 2
        caption = "Figures by their age when this page was made"
        return (
            f"{heading}<p>The figures were observed from {moment(fresh.oldest)} to {moment(fresh.newest)}, and read "
            f"from the store {moment(self.report.made_at)}. {count(self.tally.provisional)} of {count(total)} were "
            "observed before their period was over.</p>"
            + _table(caption, head.format("Figures", "Share"), rows, kind="fit")
        )

    def _accounts(self) -> str:
        tally, report = self.tally, self.report
        columns = Columns.of(report, tally)
        offered = {
            "always": True,
            "comparison": report.previous_period is not None and tally.compared > 0,
            "allowance": tally.allowances > 0,
        }
        filters = "".join(
            f'<option value="{value}">{text}</option>' for value, text, needs in _FILTERS if offered[needs]
        )
        plans = "".join(
            f'<option value="{number}">{escape(name)}</option>' for name, number in sorted(tally.named_plans.items())
        )
        plan = (
            f'<label for="plan">Plan<select id="plan"><option value="">All plans</option>{plans}</select></label>'
            if plans
            else ""
        )
        sizes = "".join(f"<option{' selected' if size == 100 else ''}>{size}</option>" for size in _SIZES)
        rows = "".join(static_row(values, columns, tally.plan_names, report.currency) for values in first_rows(tally))
        left_out = tally.seen - tally.listed
        note = (
            f"<p>Of {counted(tally.seen, 'account')} the {count(tally.listed)} with most tasks are listed; totals and "
            f"charts are about all of them. An export has the other {count(left_out)}.</p>"
            if left_out
            else ""
        )
        return (
            f"{_heading('accounts', 'Accounts')}{note}"
            f'<p id="static-note" role="status">The first {count(min(tally.listed, 100))} of {count(tally.listed)} '
            "accounts, those with most tasks. Opened in a browser, this page lists, sorts and finds them all.</p>"
            # No form: Enter would send it, which the policy forbids and the browser complains about.
            '<div class="controls" data-needs-script hidden role="search">'
            '<label class="find" for="find">Find an account'
            '<input type="search" id="find" autocomplete="off" spellcheck="false" '
            'placeholder="name, id, or id of the parent"></label>'
            f'<label for="only">Show<select id="only">{filters}</select></label>{plan}'
            f'<label for="page-size">Rows<select id="page-size">{sizes}</select></label></div>'
            '<div class="pages" data-needs-script hidden>'
            '<button type="button" id="first">First</button><button type="button" id="back">Back</button>'
            '<p id="status" role="status"></p>'
            '<button type="button" id="next">Next</button><button type="button" id="last">Last</button></div>'
            '<div class="wide" tabindex="0" role="group" aria-label="List of accounts">'
            '<table id="account-list" class="accounts"><caption>Accounts, and whether their figures are final. '
            "The name of an account opens its details.</caption>"
            f"<thead>{columns.head()}</thead><tbody>\n{rows}</tbody></table></div>"
        )

    def _method(self) -> str:
        points = "".join(f"<li>{escape(sentence)}</li>" for sentence in self.report.method)
        return f"{_heading('method', 'Method')}<ul>{points}</ul>" if points else ""


def _heading(name: str, text: str) -> str:
    return f'<h2 id="{name}-heading">{text}</h2>'


def _table(caption: str, head: str, rows: Iterable[str], *, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{escape(caption)}"><table{named}>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


_SECTION_OF = {"trend": "trend", "distribution": "sizes", "top": "largest", "changes": "changes", "plans": "plans"}


def _figure(chart: Chart | None, *, wide: bool = False) -> str:
    """Return a chart under its heading, with its figures as a table below; nothing without a chart."""
    if chart is None:
        return ""
    name = _SECTION_OF[chart.name]
    sideways = ' class="sideways" tabindex="0" role="group" aria-label="Chart"' if wide else ""
    return (
        f"{_heading(name, escape(chart.title))}"
        f'<p class="intro">{escape(chart.description)}</p>'
        f"<figure><div{sideways}>{chart.inline()}</div></figure>"
        f"<details><summary>Figures of this chart</summary>{_figures(chart)}</details>"
    )


def _figures(chart: Chart) -> str:
    # The id of an account stands below its name, so that figures have room beside them.
    named = chart.columns[1] == "Id"
    first = 2 if named else 1
    head = f'<th scope="col">{escape(chart.columns[0])}</th>'
    head += "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in chart.columns[first:])
    rows = []
    for row in chart.rows:
        below = f'<bdi class="id">{escape(row[1])}</bdi>' if named and row[1] != row[0] else ""
        cells = [f'<th scope="row"><bdi class="who">{escape(row[0])}</bdi>{below}</th>']
        cells += [f'<td class="number">{escape(text)}</td>' for text in row[first:]]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _table(chart.title, head, rows)
