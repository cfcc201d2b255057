"""Templates, and the cycles that are made from them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from cyclr_async.errors import InvalidArgumentError
from cyclr_async.http.request import Response
from cyclr_async.http.resource import body_of, model, text
from cyclr_async.v1.cycle import Cycle
from cyclr_async.v1.resource import V1Resource, flag, free_body, raw
from cyclr_async.v1.template import Template
from cyclr_async.wire.converter import structure
from cyclr_async.wire.segments import segment
from cyclr_async.wire.unset import UNSET, Unset

__all__ = ["AccountTemplates", "Templates"]


class Templates(V1Resource):
    """The published templates."""

    __slots__ = ()

    async def iter(
        self,
        *,
        tag: str | None = None,
        connector_name: str | None = None,
        connector_version: str | None = None,
        include_icons: bool = False,
        lookup_custom_fields: bool | None = None,
        include_prerequisites: bool | None = None,
        include_optional: bool | None = None,
        order_by: str | None = None,
        ascending: bool | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Template, None]:
        """Yield the templates, page after page; one that moves between pages meanwhile comes once.

        Args:
            tag: only those with it.
            connector_name: only those that use it.
            connector_version: of that connector.
            include_icons: whether the icons of connectors come too; they are most of the answer.
            lookup_custom_fields: None leaves it to the server, as for the next two.
            include_prerequisites: what must be done before the cycle can run, in ``extra``.
            include_optional: also what is optional.
            order_by: ``"Id"`` or ``"Name"``.
            ascending: the direction.
            timeout: wall-clock seconds for each page; ``Timeouts.deadline`` when None.

        Raises:
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        asked = {
            "tag": tag,
            "connectorName": connector_name,
            "connectorVersion": connector_version,
            "includeIcons": flag(include_icons, "include_icons"),
            # The next three make the server ask third parties, and are left out unless given.
            "lookupCustomFields": lookup_custom_fields,
            "includePrerequisites": include_prerequisites,
            "includeOptional": include_optional,
            "orderBy": order_by,
            "sortOrderAsc": ascending,
        }
        async for one in self._iter(
            "v1.templates.list", "templates", Template, lambda one: one.id, query=asked, timeout=timeout
        ):
            yield one

    async def get(self, template_id: str, *, include_icons: bool = False, timeout: float | None = None) -> Template:
        """Return a template; prerequisites and the steps that need something are in its ``extra``.

        Raises:
            NotFoundError: no such template.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        asked = {"includeIcons": flag(include_icons, "include_icons")}
        return await self._send(
            "v1.templates.get", "GET", _path(template_id), model(Template), query=asked, timeout=timeout
        )

    async def export(self, template_id: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Return a template as JSON that :meth:`import_` takes.

        Raises:
            NotFoundError: no such template.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        path = f"{_path(template_id)}/export"
        exported: dict[str, Any] = await self._send("v1.templates.export", "GET", path, raw, timeout=timeout)
        return exported

    async def import_(
        self, exported: Mapping[str, Any], *, folder_id: str | None = None, timeout: float | None = None
    ) -> Template | None:
        """Create a template from what :meth:`export` returned.

        It is never repeated when it is not known whether it was carried out: that would make a second template.

        Args:
            exported: the JSON.
            folder_id: the folder to put it into, a GUID.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The template, or None when the answer holds none: that it does is assumed.

        Raises:
            BadRequestError: it is no template, or the folder does not exist.
            OutcomeUnknownError: the template may have been created.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        if not isinstance(exported, Mapping):
            raise InvalidArgumentError(f"exported must be the JSON object of a template, not {type(exported).__name__}")
        return await self._send(
            "v1.templates.import",
            "POST",
            "templates/import",
            _imported,
            # In lower case, as it was seen; every other name of a parameter has capitals.
            query={"folderid": text(folder_id, "folder_id", null=True)},
            body=free_body(exported),
            timeout=timeout,
            advice="look for the template before importing it again",
        )


# Apart, because an install without an account is refused by the server: who has no account finds no such method.
class AccountTemplates(Templates):
    """The published templates, as an account sees them."""

    __slots__ = ()

    async def install(
        self,
        template_id: str,
        *,
        name: str | Unset = UNSET,
        include_icons: bool = False,
        timeout: float | None = None,
    ) -> Cycle:
        """Make a cycle from a template. Connectors that the account has are used, missing ones are installed.

        It is never repeated when it is not known whether it was carried out: that would make a second cycle.

        Args:
            template_id: the template.
            name: of the cycle; that of the template by default.
            include_icons: whether the icons of connectors come too.
            timeout: wall-clock seconds for the whole call; ``Timeouts.deadline`` when None.

        Returns:
            The cycle; it is paused.

        Raises:
            NotFoundError: no such template.
            OutcomeUnknownError: the cycle may have been made.
            CyclrError: see :mod:`cyclr_async.errors`.
        """
        return await self._send(
            "v1.templates.install",
            "POST",
            f"{_path(template_id)}/install",
            model(Cycle),
            query={"includeIcons": flag(include_icons, "include_icons")},
            body=body_of({"Name": text(name, "name")}),
            timeout=timeout,
            advice="look for a cycle of that template in the account before installing again",
        )


def _path(template_id: str) -> str:
    return f"templates/{segment(template_id, name='template_id')}"


def _imported(answer: Response) -> Template | None:
    said = raw(answer)
    # The success of an import was never seen: without an id it is no template, but a success all the same.
    return structure(said, Template) if isinstance(said, dict) and "Id" in said else None
