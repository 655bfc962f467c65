"""Style sheet and pictures."""

import httpx2
import pytest

from services.auth.pages.assets import ASSETS, address

FOR_EVER = "public, max-age=31536000, immutable"


@pytest.mark.parametrize("name", sorted(ASSETS))
async def test_a_file_is_kept_for_ever_under_its_own_version_alone(client: httpx2.AsyncClient, name: str) -> None:
    for query, kept in (
        (f"?v={ASSETS[name].version}", FOR_EVER),
        ("?v=0123456789abcdef", "no-store"),  # that of another replica, of the next release
        ("", "no-store"),
        ("?v=", "no-store"),
    ):
        answer = await client.get(f"/login/static/{name}{query}")

        assert (answer.status_code, answer.headers["cache-control"]) == (200, kept)
        assert answer.content == ASSETS[name].content
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_files_are_what_they_say(client: httpx2.AsyncClient) -> None:
    types = [(await client.get(address(name))).headers["content-type"] for name in ("style.css", "mark.svg")]

    assert types == ["text/css; charset=utf-8", "image/svg+xml"]


@pytest.mark.parametrize("name", ["none.css", "../assets.py", "..%2fassets.py", "%2e%2e%2fassets.py", ""])
async def test_nothing_else_is_served(client: httpx2.AsyncClient, name: str) -> None:
    assert (await client.get(f"/login/static/{name}")).status_code == 404


def test_nothing_in_them_comes_from_elsewhere() -> None:
    for asset in ASSETS.values():
        text = asset.content.decode().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not any(word in text for word in ("http:", "https:", "//", "url(", "@import", "<script"))
