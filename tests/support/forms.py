"""A browser of somebody's own, as far as the forms of the sign-in pages go: cookies, hidden fields, an origin."""

from html.parser import HTMLParser

import httpx2


class Forms:
    """What one browser has seen."""

    def __init__(self, http: httpx2.AsyncClient, origin: str = "") -> None:
        """Take the client, which must keep no cookies itself, and what a browser would call the address."""
        self._http = http
        self._origin = origin or str(http.base_url).rstrip("/")
        self._cookies: dict[str, str] = {}
        self._hidden: dict[str, str] = {}

    async def open(self, path: str) -> httpx2.Response:
        """Read a page with its form."""
        page = self._keep(await self._http.get(path, headers=self._headers()))
        self._hidden = hidden_fields(page.text)
        return page

    async def send(self, path: str, **typed: str) -> httpx2.Response:
        """Send the form of the page that was read last; where it leads to is not followed."""
        return self._keep(await self._http.post(path, data={**self._hidden, **typed}, headers=self._headers()))

    def _headers(self) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()), "Origin": self._origin}

    def _keep(self, answer: httpx2.Response) -> httpx2.Response:
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self._cookies[name] = value
        return answer


def hidden_fields(page: str) -> dict[str, str]:
    """What the forms of a page carry by themselves."""
    reader = _Hidden()
    reader.feed(page)
    return reader.fields


class _Hidden(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and given.get("type") == "hidden":
            self.fields[given["name"]] = given.get("value", "")
