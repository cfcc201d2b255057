"""The views that questions in SQL are asked of: what a store knows, under names that stay."""

from __future__ import annotations

from typing import Final

__all__ = ["VIEWS"]

VIEWS: Final = {
    # One row per period of an account, by its last observation. Periods that overlap are all there.
    "figures": """
        SELECT o.account_id, i.account_name, substr(o.period_from, 1, 7) AS month, o.period_from, o.period_to,
            period_end(o.period_from, o.period_to) AS period_end, o.task_count, o.cycle_count,
            coalesce(o.price_plan_id, i.account_plan_id) AS price_plan_id,
            coalesce(o.audit_info, i.account_audit_info) AS audit_info, o.observed_at,
            o.observed_at < period_end(o.period_from, o.period_to) AS provisional, o.run_id
        FROM observation AS o LEFT JOIN item AS i ON i.run_id = o.run_id AND i.account_id = o.account_id
        WHERE NOT EXISTS (
            SELECT 1 FROM observation AS n WHERE n.account_id = o.account_id AND n.period_from = o.period_from
                AND (n.observed_at, n.run_id) > (o.observed_at, o.run_id))
    """,
    "observations": """
        SELECT account_id, substr(period_from, 1, 7) AS month, period_from, period_to, task_count, cycle_count,
            price_plan_id, audit_info, observed_at, observed_at < period_end(period_from, period_to) AS provisional,
            run_id
        FROM observation
    """,
    "accounts": """
        SELECT i.run_id, i.account_id, i.account_name, i.account_plan_id AS price_plan_id,
            i.account_audit_info AS audit_info, i.state, i.attempts, i.error, i.reason,
            (SELECT f.parent_account_id FROM account_fact AS f WHERE f.account_id = i.account_id
                AND f.run_id <= i.run_id ORDER BY f.run_id DESC LIMIT 1) AS parent_account_id
        FROM item AS i
    """,
    "runs": """
        SELECT run_id, api, base_url, partner, from_date, status, created_at, updated_at, finished_at,
            listing_complete, asked, ok, missing, forbidden, failed
        FROM run
    """,
    "findings": "SELECT run_id, account_id, kind, detail, found_at FROM finding",
    "closings": """
        SELECT closing_id, period_start, period_end, zone, closed_at, closed_by, accepted, note, accounts, task_count,
            cycle_count, gaps, reopened_at, reopened_by, reopen_reason
        FROM closing
    """,
    "closed_figures": """
        SELECT closing_id, account_id, account_name, parent_account_id, audit_info, price_plan_id, period_from,
            period_to, task_count, cycle_count, observed_at, provisional, run_id
        FROM closed_line
    """,
    "closed_gaps": "SELECT closing_id, account_id, account_name, reason, detail, run_id FROM closed_gap",
}
"""Every view by its name; ``docs/usage-store.md`` says what the columns mean."""
