"""An example: a web service whose customers get a Cyclr account when they sign up, and are sent into it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from cyclr_async import AsyncPartnerSession, CyclrError, OutcomeUnknownError, RateLimitedError


class SignUp(BaseModel):
    """Who signs up."""

    customer: str
    company: str


def create_app(open_session: Callable[[], AsyncPartnerSession] = AsyncPartnerSession.from_env) -> FastAPI:
    """Make the application; production reads ``CYCLR_*``, tests give a session on the simulator."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_session() as app.state.cyclr:
            yield

    app = FastAPI(lifespan=lifespan)
    accounts: dict[str, str] = {}  # customer -> account id; a table in a real service

    @app.post("/signup", status_code=201)
    async def sign_up(request: Request, who: SignUp) -> dict[str, str]:
        cyclr: AsyncPartnerSession = request.app.state.cyclr
        customer = who.customer
        if customer not in accounts:
            try:
                accounts[customer] = await cyclr.accounts.create(name=who.company, audit_info=customer, timeout=10)
            except OutcomeUnknownError:
                accounts[customer] = await find_account(cyclr, customer)
        return {"account": accounts[customer]}

    async def find_account(cyclr: AsyncPartnerSession, customer: str) -> str:
        """The answer was lost: look whether the account exists, since creating it again could make two."""
        async for account in cyclr.accounts.iter():
            if account.audit_info == customer:
                return account.id
        raise HTTPException(503, "please try again", {"Retry-After": "5"})

    @app.get("/integrations")
    async def integrations(request: Request, customer: str) -> RedirectResponse:
        if customer not in accounts:
            raise HTTPException(404, "sign up first")
        cyclr: AsyncPartnerSession = request.app.state.cyclr
        token = await cyclr.tokens.create(accounts[customer], customer, timeout=10)
        # The link signs a user in: it goes into no cache, no page, no log and no Referer header.
        headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return RedirectResponse(token.url().reveal(), 303, headers)

    @app.exception_handler(CyclrError)
    async def cyclr_failed(request: Request, error: CyclrError) -> RedirectResponse:
        after = int(error.retry_after or 1) if isinstance(error, RateLimitedError) else 5
        return RedirectResponse("/later", 303, {"Retry-After": str(after)})

    return app
