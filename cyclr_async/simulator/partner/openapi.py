"""The OpenAPI description of what the simulator answers, served at ``/openapi.json``."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["document"]

_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_ID: Final = {"type": "string", "minLength": 1}
_DATE: Final = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"}
_LOOSE: Final = "The server is lenient: numbers may come as text, and what cannot be converted is ignored."


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answers(schema: dict[str, Any] | None, *errors: int) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done."}
    if schema is not None:
        good["content"] = _json(schema)
    found: dict[str, Any] = {"200": good}
    texts = {
        400: "The request is invalid.",
        401: "No valid bearer token.",
        404: "No such account; no body.",
        413: "The body is too large.",
        415: "Not JSON.",
        429: "Too many requests.",
    }
    for status in (*errors, 401, 429):
        found[str(status)] = {"description": texts[status]}
        if status != 404:
            found[str(status)]["content"] = _json(_ERROR)
    return found


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def _answer(**properties: Any) -> dict[str, Any]:
    return _object(tuple(properties), **properties)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _operation(
    name: str,
    summary: str,
    answers: dict[str, Any],
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": name, "summary": summary, "responses": answers}
    if parameters:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": True, "content": _json(body)}
    return found


def _schemas() -> dict[str, Any]:
    text = {"type": "string"}
    some = _nullable(text)
    whole = {"type": "integer"}
    return {
        "Error": _answer(Message=text),
        "OAuthError": _object(("error",), error=text, error_description=text),
        "Id": _answer(Id=_ID),
        "Account": _answer(
            Id=_ID,
            Name=text,
            Description=some,
            PricePlanId=_nullable(whole),
            LastBillDate=_DATE,
            NextBillDate=_nullable(_DATE),
            AuditInfo=some,
        ),
        "AccountWrite": {
            "type": "object",
            "description": _LOOSE,
            "properties": {
                "Name": {"description": "Text, not empty."},
                "Description": {"description": "Text or null."},
                "Timezone": {"description": "An IANA name such as Europe/London."},
                "PricePlanId": {"description": "The id of a price plan."},
                "NextBillDate": {"description": "Such as 2017-03-09T16:23:08, in UTC."},
                "AuditInfo": {"description": "Text or null."},
            },
        },
        "PartnerDetails": _answer(
            AnonymousAccountsEnabled={"type": "boolean"},
            ApplicationDisplayName=text,
            ApplicationIcon=some,
            AppStyle=some,
            ComingSoonConnectorsEnabled={"type": "boolean"},
            CustomConnectorsEnabled={"type": "boolean"},
            CycleNoun=text,
            CycleSharingEnabled={"type": "boolean"},
            Domain=text,
            IntercomAPIKey=some,
            IntercomAppId=some,
            IntercomSecretKey=some,
            HeaderHtml=some,
            FooterHtml=some,
        ),
        "PricePlan": _answer(Id=text, Name=text),
        "SignInToken": _answer(ExpiresAtUtc={"type": "string", "format": "date-time"}, Token=text),
        "Usage": _answer(
            TaskCount=whole,
            CycleCount=whole,
            FromDate=_DATE,
            ToDate=_DATE,
            CurrentPricePlanId=_nullable(whole),
            AuditInfo=some,
        ),
        "AccessToken": _object(
            ("access_token", "token_type", "expires_in"),
            access_token=text,
            token_type=text,
            expires_in=whole,
            refresh_token=text,
        ),
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _paths() -> dict[str, Any]:
    account = {"name": "AccountId", "in": "path", "required": True, "schema": _ID}
    day = {"name": "fromDate", "in": "query", "schema": {"type": "string"}, "example": "2016-12-09"}
    write = _ref("AccountWrite")
    named = {"allOf": [write, {"required": ["Name"]}]}
    anything: dict[str, Any] = {"description": _LOOSE}
    sign_in = _object(("AccountId", "Username"), AccountId=anything, Username=anything)
    install = _object(
        ("AccountId", "ConnectorName", "InstalledName"),
        AccountId=anything,
        ConnectorName=anything,
        ConnectorVersion=anything,
        InstalledName=anything,
        ApiKey=anything,
        Username=anything,
        Password=anything,
    )
    writing = (400, 413, 415)
    return {
        "/api/partner/accounts": {
            "get": _operation("accounts.list", "List Accounts", _answers({"type": "array", "items": _ref("Account")}))
        },
        "/api/partner/details": {"get": _operation("details", "Partner Details", _answers(_ref("PartnerDetails")))},
        "/api/partner/priceplans": {
            "get": _operation(
                "priceplans.list", "Get Price Plans", _answers({"type": "array", "items": _ref("PricePlan")})
            )
        },
        "/api/partner/createaccount": {
            "post": _operation("accounts.create", "Create Account", _answers(_ref("Id"), *writing), body=named)
        },
        "/api/partner/accounts/{AccountId}": {
            "put": _operation(
                "accounts.update",
                "Update Account",
                _answers(_ref("Id"), *writing, 404),
                parameters=[account],
                body=write,
            )
        },
        "/api/partner/accounts/{AccountId}/billing": {
            "get": _operation(
                "accounts.usage", "Get Account Usage", _answers(_ref("Usage"), 400, 404), parameters=[account, day]
            )
        },
        "/api/partner/createaccountsignintoken": {
            "post": _operation(
                "tokens.create", "Get Account Signin Token", _answers(_ref("SignInToken"), *writing, 404), body=sign_in
            )
        },
        "/api/partner/installconnector": {
            "post": _operation("connectors.install", "Install Connector", _answers(None, *writing, 404), body=install)
        },
        "/oauth/token": {"post": _token()},
    }


def _token() -> dict[str, Any]:
    names = ("client_id", "client_secret", "scope", "username", "password", "refresh_token")
    form = _object(
        ("grant_type", "client_id"), grant_type={"type": "string"}, **{name: {"type": "string"} for name in names}
    )
    kinds = ["client_credentials", "password", "refresh_token"]
    form["properties"]["grant_type"] = {"type": "string", "enum": kinds}
    return {
        "operationId": "token",
        "summary": "Get an access token",
        "security": [],
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}},
        "responses": {
            "200": {"description": "A token.", "content": _json(_ref("AccessToken"))},
            "400": {"description": "Refused.", "content": _json(_ref("OAuthError"))},
            "413": {"description": "The body is too large.", "content": _json(_ERROR)},
        },
    }


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cyclr partner API (simulated)", "version": "1"},
        "security": [{"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
