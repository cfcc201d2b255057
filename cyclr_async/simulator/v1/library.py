"""What the partner has in v1.0 besides accounts and connectors: templates and settings; and new ids for all."""

from __future__ import annotations

import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs

from cyclr_async.simulator.domain.catalogue import Catalogue
from cyclr_async.simulator.v1.holdings import CycleConnector, Edge, Step

if TYPE_CHECKING:
    from cyclr_async.simulator.domain.population import Population

__all__ = ["Library", "Template"]


@attrs.frozen(slots=True, kw_only=True)
class Template:
    """A published template.

    Attributes:
        id: a GUID.
        name: of the template.
        description: or None.
        tags: of the template, and of the cycles made from it.
        connectors: that it needs, and how many of its steps use each.
    """

    id: str
    name: str
    description: str | None = None
    tags: tuple[str, ...] = ()
    connectors: tuple[CycleConnector, ...] = ()

    def row(self, *, icons: bool) -> dict[str, Any]:
        """Return the ``Template``."""
        return {
            "Name": self.name,
            "Description": self.description,
            "Id": self.id,
            "Connectors": [item.row(icons=icons) for item in self.connectors],
            "Tags": list(self.tags),
        }


class Library:
    """The templates and the settings of the partner.

    Args:
        catalogue: the connectors.
        population: makes GUIDs that follow from the seed.

    Attributes:
        templates: by their ids.
        inline_oauth: the setting that holds when a LAUNCH says nothing of it.
        loose_steps: steps of no cycle, which every account can read and map; of a state file only.
    """

    def __init__(self, catalogue: Catalogue, population: Population) -> None:
        self.templates: dict[str, Template] = {}
        self.inline_oauth = True
        self.loose_steps: dict[str, Step] = {}
        self._population = population
        self._made = 0
        connectors = list(catalogue)
        for number, tags in enumerate((("starter",), ("starter", "crm"), ("reports",)), 1):
            used = tuple(CycleConnector(connector, 1) for connector in connectors[number : number + 2])
            name = " to ".join(item.connector.name for item in used) or "Empty"
            self.add_template(Template(id=self.guid(), name=f"{name} {number}", tags=tags, connectors=used))

    def guid(self) -> str:
        """Return a new GUID."""
        self._made += 1
        return str(uuid.UUID(bytes=self._population.secret("guid", self._made, 16), version=4))

    def add_template(self, template: Template) -> None:
        """Publish a template; one with the same id is replaced."""
        self.templates[template.id] = template

    def edges(self, steps: list[Step]) -> dict[str, Edge]:
        """Return edges that lead from each step to the next."""
        edges = (Edge(self.guid(), head.id, tail.id) for head, tail in pairwise(steps))
        return {edge.id: edge for edge in edges}
