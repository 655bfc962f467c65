"""Workers that write and read numbered items for as long as a block lasts."""

import math
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx2

from tests.e2e.ledger.book import Book, Entry
from tests.e2e.ledger.caller import PATIENT, Caller, Connect, Retries
from tests.e2e.ledger.sign_in import Machine, SignIn

WORKERS = 4
PAUSE_SECONDS = 0.1  # all together stay below the 100 requests a second that the gateway lets one principal send
MOST_SECONDS = 240
ITEM = {"currency": "EUR", "description": "of a ledger"}


class Ledger:
    """What is shared by the workers of one run: its name, its book, the items that they replace and read."""

    def __init__(
        self, connect: Connect, machine: Machine, *, book: Book | None = None, sign_in_seconds: float = math.inf
    ) -> None:
        self._sign_in_seconds = sign_in_seconds
        self.run = f"ledger-{secrets.token_hex(4)}"
        self.book = book or Book()
        self.registers: dict[str, str] = {}  # name to path
        self._connect = connect
        self._machine = machine

    @contextmanager
    def working(
        self, retries: Retries = PATIENT, *, workers: int = WORKERS, pause_seconds: float = PAUSE_SECONDS
    ) -> Iterator["Ledger"]:
        """Have the workers work for as long as the block lasts, at most four minutes."""
        stop = threading.Event()
        sign_in = SignIn(self._connect, self._machine, self.book, every_seconds=self._sign_in_seconds)
        with sign_in as tokens:
            for number in range(workers):
                self._open_register(tokens, f"{self.run}-register-{number}")
            with ThreadPoolExecutor(workers) as pool:
                callers = [Caller(self._connect, tokens, self.book, retries) for _ in range(workers)]
                running = [
                    pool.submit(Worker(self, number, caller, pause_seconds).work, stop)
                    for number, caller in enumerate(callers)
                ]
                try:
                    yield self
                finally:
                    stop.set()
            for each in running:
                each.result()

    def _open_register(self, tokens: SignIn, name: str) -> None:
        caller = Caller(self._connect, tokens, self.book, PATIENT)
        try:
            path = create(caller, self.book, name, 0)
        finally:
            caller.close()
        assert path is not None, f"the run cannot begin: {list(self.book.of('create'))}"
        self.registers[name] = path


class Worker:
    """One caller in turn: creates an item, replaces its register, reads a register and lists what it has created."""

    def __init__(self, ledger: Ledger, number: int, caller: Caller, pause_seconds: float) -> None:
        self._book = ledger.book
        self._registers = list(ledger.registers.items())
        self._number = number
        self._prefix = f"{ledger.run}-worker-{number}-"
        self._caller = caller
        self._pause_seconds = pause_seconds

    def work(self, stop: threading.Event) -> None:
        """Until told to stop."""
        deadline = time.monotonic() + MOST_SECONDS
        turn = 0
        try:
            while not stop.is_set() and time.monotonic() < deadline:
                turn += 1
                create(self._caller, self._book, f"{self._prefix}{turn:06}", turn)
                time.sleep(self._pause_seconds)
                self._replace(turn)
                self._read(turn)
                time.sleep(self._pause_seconds)
                self._list()
        finally:
            self._caller.close()

    def _replace(self, value: int) -> None:
        name, path = self._registers[self._number]
        entry = Entry("replace", name, self._book.now(), value)
        body = {**ITEM, "name": name, "price_minor": value}
        self._caller.ask(entry, "PUT", path, expected=200, judge=lambda answer: flaw(answer, name, value), json=body)

    def _read(self, turn: int) -> None:
        """A register of any worker: what it must hold is judged from the book."""
        name, path = self._registers[(self._number + turn) % len(self._registers)]
        entry = Entry("read", name, self._book.now())

        def judge(answer: httpx2.Response) -> str:
            wrong = flaw(answer, name)
            if not wrong:
                entry.value = answer.json()["price_minor"]
            return wrong

        self._caller.ask(entry, "GET", path, expected=200, judge=judge)

    def _list(self) -> None:
        """The newest of its own items."""
        entry = Entry("list", self._prefix, self._book.now())

        def judge(answer: httpx2.Response) -> str:
            try:
                entry.value = max((item["price_minor"] for item in answer.json()["items"]), default=0)
            except (ValueError, KeyError, TypeError):
                return "no list"
            return ""

        query = {"name_prefix": self._prefix, "sort": "-name", "limit": "1"}
        self._caller.ask(entry, "GET", "/v1/items", expected=200, judge=judge, params=query)


def create(caller: Caller, book: Book, name: str, value: int) -> str | None:
    """Create an item under a key of its own; its path once that is acknowledged."""
    entry = Entry("create", name, book.now(), value)
    answer = caller.ask(
        entry, "POST", "/v1/items", expected=201, judge=lambda answer: flaw(answer, name, value),
        headers={"Idempotency-Key": name}, json={**ITEM, "name": name, "price_minor": value},
    )  # fmt: skip
    return answer.headers["location"] if answer is not None else None


def flaw(answer: httpx2.Response, name: str, value: int | None = None) -> str:
    """What an item in an answer has wrong: it is another one, or not what was written."""
    try:
        item = answer.json()
        found = item["name"], item["price_minor"]
    except (ValueError, KeyError, TypeError):
        return "no item"
    if found[0] != name:
        return f"another's item: {found[0]}"
    return "" if value in (None, found[1]) else f"not what was written: {found[1]}"
