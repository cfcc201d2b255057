"""The handler of all requests: who asks, for what, what goes wrong on purpose, and what is answered."""

from __future__ import annotations

import asyncio
import html
import logging
import math
import re
import zlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs

import attrs
from aiohttp import ClientPayloadError, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_request import BaseRequest

from cyclr_async.simulator.control.endpoint import CONTROL_PREFIX, accepted, answer_control
from cyclr_async.simulator.domain.lenient_fields import RefusedError, body_fields, dump, message
from cyclr_async.simulator.domain.simulator_state import SimulatorState
from cyclr_async.simulator.faults.fault import Fault
from cyclr_async.simulator.partner.openapi import document
from cyclr_async.simulator.partner.operations import OPERATION_HANDLERS, OperationRequest, account_list, exchange_token
from cyclr_async.simulator.partner.routes import Route, find_route
from cyclr_async.simulator.replies import DENIED, HTML, JSON, Reply, broken, page, send

__all__ = ["SimulatorApp"]

_log: Final = logging.getLogger("cyclr_async.simulator")
_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")
_ABSOLUTE: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_BODY_LIMIT: Final = 1024 * 1024
_OAUTH_HEADERS: Final = {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1"}
_OWN_ACCOUNT: Final = frozenset(("accounts.update", "accounts.usage", "tokens.create", "connectors.install"))


@attrs.define(slots=True)
class _Trace:
    """What the log will say of a request."""

    path: str
    operation: str | None = None
    account_id: str | None = None
    fault: Fault | None = None
    request_id: str | None = None


class SimulatorApp:
    """Answers requests from a world.

    Args:
        world: what it serves.
        hosts: the values of ``Host`` that are accepted, in lower case, with a port or for every port; None accepts all.
    """

    def __init__(self, world: SimulatorState, hosts: frozenset[str] | None) -> None:
        self.world = world
        self.hosts = hosts

    async def __call__(self, request: BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path, _, query = request.raw_path.partition("?")
        if not path.startswith("/"):
            path = _ABSOLUTE.sub("", path) or "/"
        trace = _Trace(path)
        request_id = request.headers.get("X-Request-Id")
        if request_id is not None and _ID.fullmatch(request_id):
            trace.request_id = request_id
        status: int | None = None
        try:
            reply = await self._answer(request, trace, query)
            if reply is not None:
                status = reply.status
        finally:
            if not path.startswith(CONTROL_PREFIX):
                kind = None if trace.fault is None else trace.fault.kind
                about = (trace.operation, trace.account_id, kind, trace.request_id)
                self.world.requests.add(self.world.clock.now(), request.method, path, about, status)
        if reply is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        try:
            return await send(request, reply, trace.request_id, trace.fault)
        except ConnectionError:
            _log.debug("the client left before the answer was complete: %s", trace.operation)
            return web.Response()

    async def _answer(self, request: BaseRequest, trace: _Trace, query: str) -> Reply | None:
        try:
            self._check_host(request)
            route = find_route(trace.path)
            if route is None:
                return await self._other(request, trace.path, query)
            _check_method(request, route.method)
            return await self._operation(request, trace, route, query)
        except RefusedError as refused:
            return Reply(refused.status, refused.body, JSON, refused.headers)

    def _check_host(self, request: BaseRequest) -> None:
        """A page in a browser may reach loopback under a name of its own (DNS rebinding); it gets nothing here."""
        if self.hosts is None:
            return
        host = request.headers.get("Host")
        if host is None:
            raise RefusedError(400, "The Host header is missing.")
        if not accepted(host, self.hosts):
            raise RefusedError(421, "The simulator answers only under its own loopback address and allowed names.")

    async def _body(self, request: BaseRequest) -> bytes:
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RefusedError(
                413, f"The request is larger than {_BODY_LIMIT} bytes.", {"Connection": "close"}
            ) from None
        except (HttpProcessingError, ClientPayloadError, web.RequestPayloadError, zlib.error, ValueError):
            raise RefusedError(400, "The request is invalid.", {"Connection": "close"}) from None

    async def _operation(self, request: BaseRequest, trace: _Trace, route: Route, query: str) -> Reply | None:
        world, operation = self.world, route.operation
        trace.operation = operation
        trace.account_id = route.account_id.lower() or None
        body = b"" if route.method == "GET" else await self._body(request)
        if operation in ("tokens.create", "connectors.install"):
            trace.account_id = _account_in(body, request.headers.get("Content-Type", ""))
        if operation != "token":
            wait = world.rate.take()
            if wait is not None:
                seconds = str(max(1, math.ceil(wait)))
                return Reply(429, message("Too many requests."), JSON, {"Retry-After": seconds})
        fault: Fault | None = None
        if len(world.faults):
            fault, delay = world.faults.select(operation, trace.account_id)
            trace.fault = fault
            if delay:
                await asyncio.sleep(delay)
            if fault is not None:
                early = broken(fault)
                if early is not None or fault.kind == "drop-before":
                    return early
        reply = self._act(request, route, query, body, fault)
        if fault is not None and fault.kind == "drop-after":
            return None
        if fault is not None and fault.kind == "wrong-json":
            return Reply(200, (fault.body or "").encode("utf-8", "replace"))
        return reply

    def _act(self, request: BaseRequest, route: Route, query: str, body: bytes, fault: Fault | None) -> Reply:
        content_type = request.headers.get("Content-Type", "")
        if fault is not None and fault.kind == "revoke-token":
            self.world.tokens.revoke(_bearer(request))
        if route.operation == "token":
            status, answer = exchange_token(self.world, body, content_type)
            return Reply(status, answer, "application/json;charset=UTF-8", _OAUTH_HEADERS)
        return self._partner(request, route, OperationRequest(route.account_id, query), body, content_type)

    def _partner(
        self, request: BaseRequest, route: Route, asked: OperationRequest, body: bytes, content_type: str
    ) -> Reply:
        world, operation = self.world, route.operation
        grant = world.tokens.find(_bearer(request))
        if grant is None:
            return Reply(401, DENIED, JSON, {"WWW-Authenticate": "Bearer"})
        if grant.account_id is not None and operation not in _OWN_ACCOUNT:
            return Reply(401, DENIED, JSON, {"WWW-Authenticate": "Bearer"})
        if route.method != "GET":
            asked = attrs.evolve(asked, fields=body_fields(body, content_type))
        if grant.account_id is not None:
            wanted = route.account_id or str(asked.fields.get("accountid"))
            record = world.state.find(wanted)
            if record is None or record.id != grant.account_id:
                return Reply(401, DENIED, JSON, {"WWW-Authenticate": "Bearer"})
        if operation == "accounts.list":
            few = len(world.state) <= 1000
            return Reply(200, b"".join(account_list(world)) if few else account_list(world))
        return Reply(200, OPERATION_HANDLERS[operation](world, asked))

    async def _other(self, request: BaseRequest, path: str, query: str) -> Reply:
        if path.startswith(CONTROL_PREFIX):
            body = await self._body(request)
            return answer_control(self.world, request, path, query, body, self.hosts)
        pages: dict[str, Callable[[], Reply]] = {
            "/openapi.json": lambda: Reply(200, dump(document())),
            "/account/signinwithtoken": lambda: self._sign_in(query),
            "/": lambda: Reply(200, _WELCOME, "text/plain; charset=utf-8"),
        }
        found = pages.get(path.lower())
        if found is None:
            raise RefusedError(404, f"No HTTP resource was found that matches the request URI '{path[:200]}'.")
        _check_method(request, "GET")
        return found()

    def _sign_in(self, query: str) -> Reply:
        try:
            token = parse_qs(query, max_num_fields=100).get("token", [""])[0]
        except ValueError:
            token = ""
        visit = self.world.sign_ins.use(token)
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        if visit is None:
            return Reply(
                401, page("Not signed in", "<p>The link was used before, or it has expired.</p>"), HTML, headers
            )
        record = self.world.state.find(visit.account_id)
        name = html.escape(record.name if record else visit.account_id)
        words = f"<p>Signed in as <b>{html.escape(visit.username)}</b> to <b>{name}</b>.</p>"
        return Reply(200, page("Signed in", words), HTML, headers)


def _check_method(request: BaseRequest, method: str) -> None:
    if request.method != method:
        words = f"The requested resource does not support http method '{request.method[:20]}'."
        raise RefusedError(405, words, {"Allow": method})


def _bearer(request: BaseRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _account_in(body: bytes, content_type: str) -> str | None:
    """Return the account a body is about, for faults and the log; None when it cannot be read."""
    try:
        fields: dict[str, Any] = body_fields(body, content_type)
    except RefusedError:
        return None
    account_id = fields.get("accountid")
    return account_id.strip().lower().encode("utf-8", "replace").decode() if isinstance(account_id, str) else None


_WELCOME: Final = b"""A simulated Cyclr partner API.

GET  /openapi.json            what it offers
POST /oauth/token             access tokens
     /api/partner/...         the partner API
     /_simulator/state        what it holds; also faults, requests, clock, rate, tokens, accounts, reset
"""
