"""Pages of the v1.0 API over a socket: where a list ends, and what comes twice."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from cyclr_async import AsyncPartnerSession, DesynchronizedError
from cyclr_async.v1.paging import Page, page_query, pages, total_pages
from tests.support.recorder import Heard, Recorder, reply


def paged(*contents: str, total: str | None) -> Recorder:
    """A server with these pages, each a text of one-letter ids; after the last one come empty pages."""

    def make(heard: Heard) -> bytes:
        query = parse_qs(urlsplit(heard.target).query)
        assert query["pageSize"] == ["100"]
        number = int(query["page"][0])
        ids = contents[number - 1] if number <= len(contents) else ""
        return reply(json.dumps([{"Id": one} for one in ids]), headers={} if total is None else {"Total-Pages": total})

    return Recorder(make=make)


async def read(server: Recorder) -> list[str]:
    async with AsyncPartnerSession("t", base_url=server.base_url, v1_url=f"{server.origin}/v1.0") as session:

        async def fetch(number: int) -> Page[str]:
            query = dict(pair.split("=") for pair in page_query(number).split("&"))
            answer = await session.v1.request("GET", "accounts", query=query)
            return Page([one["Id"] for one in answer.json()], total_pages(answer.headers))

        return ["".join(page) async for page in pages(fetch, str, operation="accounts")]


@pytest.mark.parametrize(
    ("contents", "total", "found", "asked"),
    [
        (["abc", "de"], "2", ["abc", "de"], 2),
        (["abc", "de"], None, ["abc", "de"], 3),  # a short page is no end: the server may cap the size
        (["abc", "de"], "nonsense", ["abc", "de"], 3),
        (["abc", "de"], "-2", ["abc", "de"], 3),
        (["abc", "de"], "7", ["abc", "de"], 3),  # the list became shorter meanwhile
        (["abc", "cd", "e"], "3", ["abc", "d", "e"], 3),  # a row moved to the next page
        (["abc", "abc", "d"], "3", ["abc", "d"], 3),
        ([], None, [], 1),
        ([], "0", [], 1),
        (["aab"], "1", ["ab"], 1),
    ],
)
async def test_a_list_ends_where_the_server_says_and_no_element_comes_twice(
    contents: list[str], total: str | None, found: list[str], asked: int
) -> None:
    async with paged(*contents, total=total) as server:
        assert await read(server) == found
        assert len(server.heard) == asked


async def test_a_server_that_takes_no_notice_of_page_numbers_is_an_error_and_no_endless_list() -> None:
    async with paged(*["abc"] * 9, total=None) as server:
        with pytest.raises(DesynchronizedError, match="accounts: page 2 repeats"):
            await read(server)
        assert len(server.heard) == 2
