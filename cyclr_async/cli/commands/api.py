"""``cyclr api``: a request to any operation of either API."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qsl, unquote

import attrs
import click

import cyclr_async
from cyclr_async.cli.connect import connected
from cyclr_async.cli.dry_run import run_dry
from cyclr_async.cli.options import Command, Options, current, knows_both_apis
from cyclr_async.cli.param_types import ParamType
from cyclr_async.cli.raw_fields import as_object, as_query
from cyclr_async.cli.raw_output import RawOutput
from cyclr_async.cli.settings import chosen_api
from cyclr_async.cli.signals import run_async
from cyclr_async.cli.terminal import echo, warn
from cyclr_async.cli.text_input import read_text
from cyclr_async.errors import DecodeError, DesynchronizedError
from cyclr_async.wire.strict_json import loads
from cyclr_async.wire.text import escape_terminal

if TYPE_CHECKING:
    from cyclr_async.http.raw_request import RawResponse

__all__ = ["api"]

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
_BODILESS: Final = frozenset({"GET", "HEAD"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_ROOTS: Final = {"partner": "api/partner/", "v1": "v1.0/"}
_FIELDS: Final = frozenset({"typed", "raw"})
_ORDER: Final = "cyclr_async.cli.fields"
"""Where a context keeps the order of the fields."""

_Query: TypeAlias = dict[str, str | float | list[str | float]]


@attrs.frozen
class _Asked:
    """A request as it was asked for.

    Attributes:
        method: the HTTP method.
        path: below the root of the API.
        api: ``partner`` or ``v1``.
        account: for ``X-Cyclr-Account``, or None.
        query: the parameters.
        body: what is sent as JSON, or None.
    """

    method: str
    path: str
    api: str
    account: str | None
    query: _Query
    body: Any = attrs.field(repr=False)

    async def send(
        self, session: cyclr_async.AsyncPartnerSession, timeout: float | None, query: _Query | None = None
    ) -> RawResponse:
        """Send it, with another query perhaps. What is no read is never repeated once it may have arrived."""
        arguments: dict[str, Any] = {"query": self.query if query is None else query, "json": self.body}
        arguments["timeout"] = timeout
        if self.api == "partner":
            return await session.request(self.method, self.path, **arguments)
        scope = session.v1 if self.account is None else session.v1.account(self.account)
        return await scope.request(self.method, self.path, **arguments)


class _Method(ParamType):
    name = "method"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).upper()
        if text not in _METHODS:
            self.fail(f"{value!r} is not one of {', '.join(_METHODS)}: write cyclr api GET accounts", param, ctx)
        return text


class _Ordered(Command):
    """Remembers the order of ``--field`` and ``--raw-field``: together they may describe a list of objects."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse twice, because click tells the order only to those who ask its parser."""
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        ctx.meta[_ORDER] = [param.name for param in order if param.name in _FIELDS]
        return super().parse_args(ctx, args)


@click.command(
    cls=_Ordered,
    examples=(
        "cyclr api GET details",
        "cyclr api GET accounts --api v1 --paginate | jq -r '.[].Id'",
        'cyclr api PUT accounts/ACCOUNT_ID --api v1 -F Name="ACME Ltd" -F StepDataSuccessRetentionHours=24',
        "cyclr api GET cycles --account ACCOUNT_ID -F tag=crm",
        "cyclr api POST cycles --account ACCOUNT_ID --input cycle.json --dry-run",
    ),
)
@click.argument("method", type=_Method())
@click.argument("path")
@knows_both_apis
@click.option("--account", metavar="ID", help="Send X-Cyclr-Account: what the call is about. Means --api v1.")
@click.option("-F", "--field", "typed", multiple=True, metavar="NAME=VALUE", help="Number, true, false, null, @file.")
@click.option("-f", "--raw-field", "raw", multiple=True, metavar="NAME=TEXT", help="Text, whatever it looks like.")
@click.option("--input", "source", metavar="FILE", help="Send this JSON; - reads standard input.")
@click.option("--paginate", is_flag=True, help="Follow the pages of a list, and write its elements as they arrive.")
@click.option("-i", "--include", is_flag=True, help="Show status and headers on standard error.")
@click.option("--dry-run", is_flag=True, help="Show the request and send nothing.")
@click.pass_context
def api(
    ctx: click.Context,
    /,
    method: str,
    path: str,
    account: str | None,
    typed: tuple[str, ...],
    raw: tuple[str, ...],
    source: str | None,
    paginate: bool,
    include: bool,
    dry_run: bool,
) -> None:
    """Send a request to any operation of either API, and write the JSON of its answer.

    METHOD is GET, POST, PUT, PATCH, DELETE or HEAD. PATH is below the root of the API, and may have a query. Fields
    are query parameters of GET and HEAD and of a request with --input, and the JSON body of others; name[part]=… and
    name[]=… make objects and lists. The answer is written as it came, with whatever secrets it holds.
    """
    options = current(ctx)
    if paginate and method != "GET":
        raise click.UsageError("--paginate is for GET")
    given_fields = _in_order(ctx, typed, raw)
    body, query = _body_and_query(options, method, given_fields, source)
    which = _which(options, account)
    path, given = _place(path)
    both = given.keys() & query.keys()
    if both:
        raise click.UsageError(f"{', '.join(sorted(both))}: given in PATH and as a field")
    if body is None and which == "v1" and method in _WITH_BODY:
        body = {}  # without any, some routes of v1.0 answer 500
    asked = _Asked(method, path, which, account, given | query, body)
    if dry_run:
        run_async(run_dry(options, lambda session: asked.send(session, None)))
        return
    run_async(_called(options, asked, paginate=paginate, include=include))


def _in_order(ctx: click.Context, typed: tuple[str, ...], raw: tuple[str, ...]) -> list[tuple[str, bool]]:
    left = {"typed": iter(typed), "raw": iter(raw)}
    return [(next(left[name]), name == "typed") for name in ctx.meta[_ORDER]]


def _which(options: Options, account: str | None) -> str:
    if account is None:
        return chosen_api(options).value.reveal()
    if options.api == "partner":
        raise click.UsageError("--account is for the v1.0 API; ids of the partner API are part of PATH")
    return "v1"  # the flag is nearer than a variable or a profile


def _place(path: str) -> tuple[str, _Query]:
    """Return the path below the root, and the parameters of its query."""
    path, _, text = path.partition("?")
    path = path if path.startswith("//") else path.removeprefix("/")  # two begin a URL, which is refused
    root = next((root for root in _ROOTS.values() if f"{path}/".lower().startswith(root)), None)
    if root is not None:
        name = next(name for name, start in _ROOTS.items() if start == root)
        raise click.UsageError(f"PATH begins below the root: leave out {root}, and say --api {name}")
    query: _Query = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        values = query.setdefault(name, [])
        assert isinstance(values, list)
        values.append(value)
    # As it stands in a URL or as people write it: what is sent is quoted anew, segment by segment.
    parts = [unquote(part) for part in path.split("/")]
    if any("/" in part for part in parts):
        raise click.UsageError("PATH: a slash cannot be part of an id or a name")
    return "/".join(parts), query


def _body_and_query(
    options: Options, method: str, fields: list[tuple[str, bool]], source: str | None
) -> tuple[Any, _Query]:
    readers = [source == "-", options.client_secret_stdin]
    readers += [typed and text.partition("=")[2] == "@-" for text, typed in fields]
    if sum(readers) > 1:
        raise click.UsageError("only one thing can come from standard input")
    made = as_object(fields)
    if source is None:
        return (None, as_query(made)) if method in _BODILESS else (made or None, {})
    if method in _BODILESS:
        raise click.UsageError(f"{method} has no body: --input is for other methods")
    try:
        body = loads(read_text(source, "--input"))
    except DecodeError as error:
        problem = str(error).partition(": ")[2]
    else:
        if body is None:
            raise click.UsageError("--input holds null, which no operation takes")
        return body, as_query(made)
    raise click.UsageError(f"--input {source!r} is not JSON: {problem}")


async def _called(options: Options, asked: _Asked, *, paginate: bool, include: bool) -> None:
    with RawOutput(options, pages=paginate) as output:
        async with connected(options) as session:
            if paginate and asked.api == "v1":
                await _paginated(options, session, asked, output, include=include)
                return
            answer = await asked.send(session, options.timeout)
            _show_head(answer, include=include)
            if paginate:  # lists of the partner API come whole
                _elements(answer, output)
                return
            output.body(answer.body)
            if not answer.body.strip():
                echo(options, f"{answer.status}, and an empty answer")


async def _paginated(
    options: Options, session: cyclr_async.AsyncPartnerSession, asked: _Asked, output: RawOutput, *, include: bool
) -> None:
    from cyclr_async.v1.paging import PAGE_SIZE, total_pages  # noqa: PLC0415 - cattrs, which help does without

    query: _Query = {"page": 1, "pageSize": PAGE_SIZE} | asked.query
    number = _first_page(query["page"])
    seen: set[object] = set()
    before: bytes | None = None
    while True:
        answer = await asked.send(session, options.timeout, query | {"page": number})
        _show_head(answer, include=include)
        total = total_pages(answer.headers)
        if total is None and answer.body == before:
            raise DesynchronizedError(
                f"page {number} repeats the one before, so the list has no end", sent="yes", status=answer.status
            )
        if not _elements(answer, output, seen) or (total is not None and number >= total):
            return
        before = answer.body
        number += 1


def _first_page(value: object) -> int:
    text = str(value[0] if isinstance(value, list) and len(value) == 1 else value)
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise click.UsageError("page: the first page must be a whole number, 1 or more")
    return int(text)


def _elements(answer: RawResponse, output: RawOutput, seen: set[object] | None = None) -> bool:
    """Write the elements of a page; False when there are none, or the answer is no list."""
    value = answer.json() if answer.body.strip() else None
    if not isinstance(value, list) and seen:
        raise DecodeError("a page is not a list", path="$", expected="array", status=answer.status)
    if not isinstance(value, list):
        warn("the answer is not a list, so it has no pages")
        output.body(answer.body)
        return False
    for item in value:
        # Rows move between pages when something is added or removed meanwhile.
        identity = item.get("Id") if isinstance(item, Mapping) else None
        if seen is not None and isinstance(identity, (str, int)):
            if identity in seen:
                continue
            seen.add(identity)
        output.element(item)
    return bool(value)


def _show_head(answer: RawResponse, *, include: bool) -> None:
    if include:
        sys.stderr.write(f"HTTP {answer.status}\n")
        for name, value in answer.headers.items():
            # A cookie could sign somebody in, and this session never sends one back.
            shown = "***" if name.lower() == "set-cookie" else value
            sys.stderr.write(escape_terminal(f"{name}: {shown}") + "\n")
