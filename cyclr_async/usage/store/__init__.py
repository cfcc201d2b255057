"""The usage store: one SQLite file. ``docs/usage-store.md`` describes it. Internal; use ``cyclr_async.usage``."""
