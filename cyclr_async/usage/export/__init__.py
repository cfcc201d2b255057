"""Exports: one module per format. Internal; use ``cyclr_async.usage``."""
