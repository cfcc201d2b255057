"""Starlette's test client announces at import that it will use another HTTP library one day; that is no error here."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import fastapi.testclient  # noqa: F401
