"""The canary watch itself: it must see a secret where there is one, or its silence means nothing."""

from __future__ import annotations

import logging

import pytest

from cyclr_async import CyclrError
from tests.support.canary import BEARER, CanaryPlugin, TimerWheel, sightings


def test_a_secret_in_an_error_is_seen_from_every_side() -> None:
    seen = sightings(CyclrError(f"leaked {BEARER}"))
    assert {"str", "repr", "args", "chain", "pickle"} <= set(seen)
    assert sightings(CyclrError("harmless")) == []


def test_a_secret_in_the_chain_is_seen() -> None:
    try:
        try:
            raise ValueError(BEARER)
        except ValueError:
            raise CyclrError("harmless")  # noqa: B904 - the hidden context is what is tested
    except CyclrError as error:
        assert "chain" in sightings(error)  # noqa: PT017


def test_a_secret_in_a_log_record_is_seen() -> None:
    watch = TimerWheel()
    logger = logging.getLogger("canary_self_test")
    logger.propagate = False
    logger.addHandler(watch)
    logger.warning("token %s", BEARER)
    logger.removeHandler(watch)
    assert len(watch.hits) == 1
    assert BEARER not in watch.hits[0]


def test_the_plugin_is_on(pytestconfig: pytest.Config) -> None:
    assert isinstance(pytestconfig.pluginmanager.get_plugin("canary"), CanaryPlugin)
