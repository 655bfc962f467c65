"""What clients of the platform do, in small, at a bounded rate: token, browse, search, create, change, sign in."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx2

from tests.support.forms import Forms

WORDS = ("lamp", "desk", "chair", "shelf", "vase", "clock", "rug", "stool", "mirror", "bench")
KNOWN_ITEMS = 200
"""So many of the items made are read again."""
TOKEN_REQUESTS = 400
"""After so many requests a client asks for a new token, as if its process had begun anew."""
KNOWN_PEOPLE, RIGHT_PASSWORDS = 0.85, 0.85
"""Of those who sign in, so many have an account, and of these so many type its password."""
SCOPES = "items:read items:write"


@dataclass
class Traffic:
    """One visitor after the other, `rate` requests a second in all. `seen` counts (what, status)."""

    http: httpx2.AsyncClient
    client: tuple[str, str] = field(repr=False)
    """Id and secret."""
    people: Sequence[tuple[str, str]] = field(default=(), repr=False)
    """E-mails and passwords of those who sign in; nobody: only strangers try."""
    origin: str = ""
    """What a browser would call the address; empty: the client's base."""
    rate: float = 20
    seen: Counter[tuple[str, int | str]] = field(default_factory=Counter)
    _token: str = field(default="", repr=False)
    _one_asks: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _asked: int = 0
    _items: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Have browsers keep cookies, each its own, and not the client that they share."""
        self.http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    async def run(self, *, count: int | None = None, seconds: float | None = None) -> None:
        """Go on until so many requests were sent or so much time has passed. A failure is counted, and goes on."""
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(count if count is not None else 10**9):
                due = begin + number / self.rate
                if seconds is not None and due > begin + seconds:
                    return
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                group.create_task(self._one())

    async def _one(self) -> None:
        doing = random.choices(list(self._kinds), weights=[weight for weight, _ in self._kinds.values()])[0]
        try:
            async with self._one_asks:
                if not self._token or self._asked >= TOKEN_REQUESTS:
                    await self._get_token()
            self._asked += 1
            status: int | str = await self._kinds[doing][1]()
        except httpx2.HTTPError as error:
            status = type(error).__name__
        self.seen[doing, status] += 1

    @property
    def _kinds(self) -> dict[str, tuple[int, Callable[[], Awaitable[int]]]]:
        """By name how often, in percent, and what."""
        return {
            "browse": (30, self._browse),
            "read": (38, self._read),
            "search": (10, self._search),
            "create": (10, self._create),
            "change": (5, self._change),
            "miss": (2, self._miss),
            "page": (3, self._page),
            "sign in": (2, self._sign_in),
        }

    async def _get_token(self) -> None:
        form = {"grant_type": "client_credentials", "scope": SCOPES}
        answer = await self.http.post("/oauth2/token", data=form, auth=self.client)
        self.seen["token", answer.status_code] += 1
        answer.raise_for_status()
        self._token, self._asked = answer.json()["access_token"], 0

    async def _ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **options)

    async def _browse(self) -> int:
        answer = await self._ask("GET", f"/v1/items?limit={random.choice((5, 20, 50))}")
        return answer.status_code

    async def _search(self) -> int:
        answer = await self._ask("GET", f"/v1/items?limit=20&name_prefix={random.choice(WORDS).capitalize()}")
        return answer.status_code

    async def _read(self) -> int:
        if not self._items:
            return await self._create()
        return (await self._ask("GET", f"/v1/items/{random.choice(self._items)}")).status_code

    async def _create(self) -> int:
        name = f"{random.choice(WORDS).capitalize()} {random.randrange(1000)}"
        body = {"name": name, "price_minor": random.randrange(100, 90_000), "currency": "EUR"}
        key = {"Idempotency-Key": f"load-{random.getrandbits(96):024x}"}
        answer = await self._ask("POST", "/v1/items", json=body, headers=key)
        if answer.is_success:
            self._items = [*self._items, answer.json()["id"]][-KNOWN_ITEMS:]
        return answer.status_code

    async def _change(self) -> int:
        if not self._items:
            return await self._create()
        change = {"Content-Type": "application/merge-patch+json"}
        body = f'{{"price_minor": {random.randrange(100, 90_000)}}}'
        path = f"/v1/items/{random.choice(self._items)}"
        return (await self._ask("PATCH", path, content=body, headers=change)).status_code

    async def _miss(self) -> int:
        return (await self._ask("GET", f"/v1/items/{random.getrandbits(32)}")).status_code

    async def _page(self) -> int:
        return (await self.http.get("/login")).status_code

    async def _sign_in(self) -> int:
        """By the form of the page, in a browser of its own: mostly right, some mistyped, some by strangers."""
        browser = Forms(self.http, self.origin)
        await browser.open("/login")
        email, password = f"stranger-{random.randrange(10**6)}@slipway.test", "not the right one"
        if self.people and random.random() < KNOWN_PEOPLE:
            email, right = random.choice(self.people)
            password = right if random.random() < RIGHT_PASSWORDS else password
        return (await browser.send("/login", email=email, password=password)).status_code

    def told(self) -> str:
        """What was done, and how it was answered."""
        lines = [
            f"  {doing:10} {status!s:>4}  {count}" for (doing, status), count in sorted(self.seen.items(), key=str)
        ]
        return "\n".join(lines)
