"""A template, from which cycles are made."""

from collections.abc import Mapping
from typing import Any

import attrs

from cyclr_async.wire.extra import EMPTY, as_extra
from cyclr_async.wire.model import Model

__all__ = ["Template", "TemplateConnector"]


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class TemplateConnector(Model):
    """A connector that a template uses.

    Attributes:
        id: of the connector in the catalogue.
        name: of the connector.
        version: of the connector.
        step_count: the steps that use it.
        icon: a ``data:`` URI as it came; None unless icons were asked for.
        extra: fields of the answer that are not known here.
    """

    id: int | None = None
    name: str | None = None
    version: str | None = None
    step_count: int | None = None
    icon: str | None = attrs.field(default=None, repr=False)
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)


@attrs.frozen(kw_only=True, slots=True, weakref_slot=False)
class Template(Model):
    """A published template.

    Attributes:
        id: a GUID.
        name: as people see it.
        description: free text.
        connectors: what it uses.
        tags: of the template.
        extra: fields of the answer that are not known here.
    """

    id: str
    name: str | None = None
    description: str | None = None
    connectors: tuple[TemplateConnector, ...] | None = None
    # Prerequisites and steps that need something come with a single template; their form is not documented, so they
    # stay in `extra`.
    tags: tuple[str, ...] | None = None
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=as_extra, repr=False, hash=False)
