"""The catalogue: connectors and their methods."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import overload

from cyclr_async.errors import InvalidArgumentError, NotFoundError
from cyclr_async.http.classify import is_foreign
from cyclr_async.http.resource import model
from cyclr_async.v1.connector import Connector, Method
from cyclr_async.v1.resource import V1Resource, models, number
from cyclr_async.wire.segments import segment

__all__ = ["Connectors", "Methods", "connector_path"]


class Connectors(V1Resource):
    """The catalogue of connectors."""

    __slots__ = ()

    async def iter(
        self,
        *,
        query: str | None = None,
        category: str | None = None,
        include_custom: bool | None = None,
        order_by: str | None = None,
        ascending: bool | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Connector, None]:
        """Yield the connectors, page after page; one that moves between pages meanwhile comes once.

        Args:
            query: a part of the name.
            category: one of :attr:`Connector.categories`.
            include_custom: whether those that an account has made come too; None leaves it to the server.
            order_by: ``"Id"`` or ``"Name"``.
            ascending: the direction; None leaves it to the server.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        asked = {
            "query": query,
            "category": category,
            "includeCustomConnectors": include_custom,
            "orderBy": order_by,
            "sortOrderAsc": ascending,
        }
        async for one in self._iter(
            "v1.connectors.list", "connectors", Connector, lambda one: one.id, query=asked, timeout=timeout
        ):
            yield one

    @overload
    async def get(self, connector: int, *, timeout: float | None = None) -> Connector: ...
    @overload
    async def get(
        self, connector: str, version: str | None = None, *, timeout: float | None = None
    ) -> list[Connector]: ...
    async def get(
        self, connector: int | str, version: str | None = None, *, timeout: float | None = None
    ) -> Connector | list[Connector]:
        """Return a connector by its id, or all connectors of a name.

        Args:
            connector: the id, an int, or the name.
            version: with a name: the version.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The connector for an id; a list for a name, which is empty when there is none.

        Raises:
            InvalidArgumentError: a name of digits, which the server takes for an id, or one that cannot stand in a URL.
            NotFoundError: no connector with that id.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = connector_path(connector, version)
        # One model for an id, an array for a name, also when there is one: that is how the server answers.
        if isinstance(connector, int):
            return await self._send("v1.connectors.get", "GET", path, model(Connector), timeout=timeout)
        try:
            return await self._send("v1.connectors.get", "GET", path, models(Connector), timeout=timeout)
        # Whether a name that nobody has is a 404 or an empty list is not known: both are the same to a caller.
        except NotFoundError as error:
            if is_foreign(error):
                raise
            return []

    async def methods(
        self,
        connector: int | str,
        version: str | None = None,
        *,
        query: str | None = None,
        category: str | None = None,
        timeout: float | None = None,
    ) -> list[Method]:
        """Return the methods of a connector, by category and name.

        Args:
            connector: the id, an int, or the name.
            version: with a name: the version.
            query: a part of the name of the method.
            category: of the method.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Raises:
            NotFoundError: no such connector.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{connector_path(connector, version)}/methods"
        # Not in pages: lists of hundreds of methods were seen to come whole.
        asked = {"query": query, "category": category}
        return await self._send("v1.connectors.methods", "GET", path, models(Method), query=asked, timeout=timeout)


class Methods(V1Resource):
    """The methods of all connectors."""

    __slots__ = ()

    async def get(self, method_id: int, *, timeout: float | None = None) -> Method:
        """Return a method by its id.

        Raises:
            NotFoundError: no such method.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"methods/{number(method_id, 'method_id')}"
        return await self._send("v1.methods.get", "GET", path, model(Method), timeout=timeout)


def connector_path(connector: object, version: object = None) -> str:
    """Return the path of a connector of the catalogue.

    Args:
        connector: its id, an int, or its name.
        version: with a name; None for any.

    Raises:
        InvalidArgumentError: it cannot be an id or a name.
    """
    if isinstance(connector, int):
        if version is not None:
            raise InvalidArgumentError("version goes with the name of a connector: an id has one version")
        return f"connectors/{number(connector, 'connector')}"
    if not isinstance(connector, str):
        raise InvalidArgumentError(f"connector must be an id (int) or a name (str), not {type(connector).__name__}")
    # Silently another connector otherwise, and never the one that is meant.
    if connector.isdigit():
        raise InvalidArgumentError("connector is a text of digits, which the server takes for an id: pass an int")
    # Names of the catalogue hold blanks, ids never do.
    path = f"connectors/{segment(connector, name='connector', blanks=True)}"
    return path if version is None else f"{path}/{segment(version, name='version', blanks=True)}"  # type: ignore[arg-type]
