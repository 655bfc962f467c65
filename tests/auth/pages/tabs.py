"""A browser's tab as far as HTTP goes: cookies, pages, forms. It obeys the server, or sends what it should not."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any

import httpx2

REDIRECTS = 8


@dataclass
class PageForm:
    """One form of a page: where it goes to, and what stands in it."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    @property
    def values(self) -> dict[str, str]:
        return dict(self.fields)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.codes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.attributes.append((tag, given))
        if tag == "form":
            self.forms.append(PageForm(given["action"]))
        elif tag == "code":
            self.codes.append("")
        elif tag == "input":
            self.forms[-1].fields.append((given["name"], given.get("value", "")))

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.tags[-1:] == ["code"] and self.codes and not self.codes[-1]:
            self.codes[-1] = data


class Page:
    """An answer, read."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.headers = answer.headers
        self._reader = _Reader()
        self._reader.feed(answer.text)

    @property
    def text(self) -> str:
        """What a person reads, in one line."""
        return " ".join("".join(self._reader.text).split())

    def code_elements(self) -> list[str]:
        """What stands in each <code>."""
        return self._reader.codes

    @property
    def tags(self) -> list[str]:
        return self._reader.tags

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    def has_form(self, action: str) -> bool:
        """Whether there is one that goes to this path."""
        return any(form.action == action for form in self._reader.forms)

    def form(self, action: str | None = None) -> PageForm:
        """The form that goes to this path, or the only one."""
        found = [form for form in self._reader.forms if action in (None, form.action)]
        assert found, f"no form to {action} in: {self.text}"
        return found[-1]

    def elements(self, **wanted: str) -> list[dict[str, str]]:
        """The attributes of all elements that have these."""
        return [given for _, given in self._reader.attributes if wanted.items() <= given.items()]

    def element(self, tag: str, **wanted: str) -> dict[str, str]:
        """The attributes of one element."""
        [found] = [given for name, given in self._reader.attributes if name == tag and wanted.items() <= given.items()]
        return found


class Tab:
    """Keeps cookies; `page` is what it shows."""

    page: Page

    def __init__(self, http: httpx2.AsyncClient, **headers: str) -> None:
        self.http = http
        self.headers = headers
        self.cookies: dict[str, str] = {}
        self.set_cookies: dict[str, str] = {}  # the whole headers, by name

    async def ask(self, method: str, path: str, **options: Any) -> Page:
        """One request, without following."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**self.headers, **({"Cookie": cookies} if cookies else {}), **options.pop("headers", {})}
        answer = await self.http.request(method, path, headers=headers, **options)
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.set_cookies[name] = line
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        self.page = Page(answer)
        return self.page

    async def go(self, path: str, **options: Any) -> Page:
        """A link, to the page that it ends at."""
        return await self._follow(await self.ask("GET", path, **options))

    async def send(self, action: str | None = None, /, **typed: str | None) -> Page:
        """The form of the page, with these fields filled in, or (None) left out, to where it ends."""
        return await self._follow(await self.post(action, **typed))

    async def post(self, action: str | None = None, /, **typed: str | None) -> Page:
        """Likewise, without following."""
        form = self.page.form(action)
        fields = [(name, value) for name, value in form.fields if name not in typed]
        fields += [(name, value) for name, value in typed.items() if value is not None]
        return await self.ask("POST", form.action, data=_pairs(fields))

    async def _follow(self, page: Page) -> Page:
        for _ in range(REDIRECTS):
            if page.status != httpx2.codes.SEE_OTHER or not page.location.startswith("/"):
                return page
            page = await self.ask("GET", page.location)
        raise AssertionError(f"more than {REDIRECTS} redirects, to {page.location}")


def _pairs(fields: list[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in fields:
        lists.setdefault(name, []).append(value)
    return lists
