"""How often one may try, over a real Redis, and over one that is away."""

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import AsyncGenerator, Awaitable, Generator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr, ValidationError
from redis.asyncio import Redis

from services.auth.settings import AuthSettings
from services.auth.users.exceptions import TooManyAttemptsError
from services.auth.users.limits import SignInLimits
from services.common import state_limits
from services.common.limits import Decision, Limit
from services.common.logging import configure_logging
from services.common.redis import open_redis
from services.common.redis_limits import Question
from tests.auth.conftest import MakeSettings
from tests.auth.users.conftest import SLOWER
from tests.support.servers import Server, redis_server

pytestmark = pytest.mark.usefixtures("long_minutes")

PER_ACCOUNT, PER_ADDRESS, SECOND_FACTOR, MAILS = 10, 30, 5, 5
OVERALL = f"auth:{{limit}}:sign-in:overall:{60 * SLOWER}"
SECONDS = 20
SILENCE_SECONDS = 0.5  # what a service gives a `state` gone silent; in these tests it has longer else


@pytest.fixture
async def redis(redis_url: str) -> AsyncGenerator[Redis]:
    async with open_redis(SecretStr(redis_url)) as client:
        await client.delete(OVERALL)  # the one that all share
        yield client


@pytest.fixture
def settings(make_settings: MakeSettings) -> AuthSettings:
    return make_settings()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def limits(redis: Redis, settings: AuthSettings, registry: CollectorRegistry) -> SignInLimits:
    return SignInLimits(redis, settings, registry)


def new_email() -> str:
    return f"Ada.{uuid.uuid4().hex}@slipway.test"


def new_address() -> str:
    """Of a subscriber of its own."""
    name = uuid.uuid4().hex
    return f"2001:db8:{name[:4]}:{name[4:8]}::1"


async def allowed(attempts: Sequence[Awaitable[None]]) -> int:
    """How many were let through; the others were told to come again later, and nothing else happened."""
    async with asyncio.timeout(SECONDS):
        results = await asyncio.gather(*attempts, return_exceptions=True)
    refusals = [result for result in results if result is not None]
    for refusal in refusals:
        assert isinstance(refusal, TooManyAttemptsError), repr(refusal)
        assert refusal.status == 429
        assert int(refusal.headers["Retry-After"]) >= 1
    return len(results) - len(refusals)


async def test_an_account_has_ten_attempts_a_minute_wherever_they_come_from(limits: SignInLimits) -> None:
    email = new_email()

    assert await allowed([limits.check(email, new_address()) for _ in range(30)]) == PER_ACCOUNT
    with pytest.raises(TooManyAttemptsError) as caught:
        await limits.check(email.upper(), new_address())

    assert 5 * SLOWER < int(caught.value.headers["Retry-After"]) <= 6 * SLOWER
    assert email.lower() not in str(caught.value).lower()
    await limits.check(new_email(), new_address())


async def test_an_address_has_thirty_attempts_a_minute_whomever_they_are_for(limits: SignInLimits) -> None:
    address, email = new_address(), new_email()

    assert await allowed([limits.check(new_email(), address) for _ in range(40)]) == PER_ADDRESS
    assert await allowed([limits.check(email, address)]) == 0
    assert await allowed([limits.check(email, new_address()) for _ in range(PER_ACCOUNT)]) == PER_ACCOUNT


async def test_all_together_have_what_was_set(
    redis: Redis, make_settings: MakeSettings, registry: CollectorRegistry
) -> None:
    limits = SignInLimits(redis, make_settings(sign_in_overall=12), registry)

    assert await allowed([limits.check(new_email(), new_address()) for _ in range(20)]) == 12
    assert await allowed([limits.check_mail(new_email(), new_address())]) == 0
    assert registry.get_sample_value("limits_refused_total", {"limit": "sign-in:overall"}) == 9
    await redis.delete(OVERALL)


async def test_what_one_limit_refuses_spends_nothing_in_the_others(limits: SignInLimits) -> None:
    address, email = new_address(), new_email()

    assert await allowed([limits.check(email, address) for _ in range(60)]) == PER_ACCOUNT
    assert await allowed([limits.check(new_email(), address) for _ in range(60)]) == PER_ADDRESS - PER_ACCOUNT


async def test_replicas_count_together(limits: SignInLimits, redis_url: str, settings: AuthSettings) -> None:
    email = new_email()
    async with open_redis(SecretStr(redis_url)) as another:
        replicas = [limits, SignInLimits(another, settings, CollectorRegistry())]

        attempts = [replica.check(email, new_address()) for _ in range(20) for replica in replicas]
        assert await allowed(attempts) == PER_ACCOUNT


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:{}::1", "2001:db8:1:{}:ffff:ffff:ffff:ffff", True),
        ("2001:DB8:1:{}::1", "2001:db8:0001:{}:0:0:0:2", True),
        ("2001:db8:1:{}::%eth0", "2001:db8:1:{}::%eth1", True),
        ("2001:db8:{}:1::1", "2001:db8:{}:2::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("no address", None, True),
    ],
)
async def test_addresses_of_one_subscriber_count_as_one(
    redis: Redis, make_settings: MakeSettings, one: str, other: str | None, same: bool
) -> None:
    # a key of the test's own, for these addresses are anybody's
    settings = make_settings(token_key=uuid.uuid4().hex * 2)
    limits = SignInLimits(redis, settings, CollectorRegistry())
    name = uuid.uuid4().hex[:4]

    await allowed([limits.check(new_email(), one.format(name)) for _ in range(PER_ADDRESS)])

    assert await allowed([limits.check(new_email(), other and other.format(name))]) == (0 if same else 1)


async def test_no_key_tells_who_tried(redis: Redis, limits: SignInLimits) -> None:
    before = {key async for key in redis.scan_iter("*")}
    email, address, person, client = new_email(), new_address(), uuid.uuid4(), "a-client-of-somebody"

    await limits.check(email, address)
    await limits.check_mail(email, address)
    await limits.check_second_factor(person, address)
    await limits.check_code(person, address)
    await limits.client_failed(client, address)

    keys = {key async for key in redis.scan_iter("*")} - before
    said = b" ".join(sorted(keys)).decode().lower()
    assert len(keys) >= 10
    assert all(key.startswith(b"auth:{limit}:") for key in keys)
    for who in (email, address, str(person), client):
        plain = who.lower()
        assert plain not in said
        assert hashlib.sha256(plain.encode()).hexdigest()[:16] not in said  # anybody could make that
    assert not [key for key in keys if await redis.ttl(key) < 0]


async def test_another_secret_makes_other_keys(redis: Redis, make_settings: MakeSettings) -> None:
    email = new_email()
    for _ in range(2):
        limits = SignInLimits(redis, make_settings(token_key=uuid.uuid4().hex * 2), CollectorRegistry())
        assert await allowed([limits.check(email, new_address()) for _ in range(20)]) == PER_ACCOUNT


def test_what_could_not_be_counted_is_refused_at_the_start_and_the_most_that_is_not_counts(
    make_settings: MakeSettings,
) -> None:
    limited = ("sign_in_", "second_factor_", "mails_")
    numbers = [name for name in AuthSettings.model_fields if name.startswith(limited)]
    for name in numbers:
        most = getattr(make_settings(**{name: 1_000_000}), name)
        Limit(name, most, 3600)
        with pytest.raises(ValidationError, match=name):
            make_settings(**{name: 1_000_001})

    assert len(numbers) == 6


async def test_a_second_factor_has_five_attempts_a_minute(limits: SignInLimits) -> None:
    person = uuid.uuid4()

    assert await allowed([limits.check_second_factor(person, new_address()) for _ in range(20)]) == SECOND_FACTOR
    assert await allowed([limits.check_second_factor(uuid.uuid4(), new_address())]) == 1


async def test_an_address_types_thirty_codes_a_minute_whosever_they_are(limits: SignInLimits) -> None:
    address = new_address()

    assert await allowed([limits.check_second_factor(uuid.uuid4(), address) for _ in range(40)]) == PER_ADDRESS
    assert await allowed([limits.check_code(uuid.uuid4(), address) for _ in range(40)]) == PER_ADDRESS


async def test_a_mailbox_gets_five_mails_an_hour(limits: SignInLimits) -> None:
    email = new_email()

    assert await allowed([limits.check_mail(email, new_address()) for _ in range(10)]) == MAILS
    with pytest.raises(TooManyAttemptsError) as caught:
        await limits.check_mail(email.title(), new_address())
    assert 700 * SLOWER < int(caught.value.headers["Retry-After"]) <= 720 * SLOWER


async def test_a_client_is_limited_by_its_failures_and_not_by_those_of_others(limits: SignInLimits) -> None:
    client, address = uuid.uuid4().hex, new_address()

    assert await allowed([limits.check_client(client, address) for _ in range(50)]) == 50
    for _ in range(PER_ACCOUNT):
        await limits.client_failed(client, address)

    assert await allowed([limits.check_client(client, address)]) == 0
    assert await allowed([limits.check_client(client, new_address()), limits.check_client("other", address)]) == 2


async def test_an_address_that_fails_as_many_clients_is_limited_too(limits: SignInLimits) -> None:
    address = new_address()

    for _ in range(PER_ADDRESS):
        await limits.client_failed(uuid.uuid4().hex, address)

    assert await allowed([limits.check_client(uuid.uuid4().hex, address)]) == 0


@pytest.fixture
def own_redis() -> Generator[Server]:
    """A Redis that a test may stop."""
    if "TEST_REDIS_URL" in os.environ:
        pytest.skip("servers are given, and there may be no program to start one of the test's own")
    with redis_server() as server:
        yield server


@pytest.fixture
async def own_limits(
    own_redis: Server, settings: AuthSettings, registry: CollectorRegistry
) -> AsyncGenerator[SignInLimits]:
    """As a replica has them, and connected."""
    async with open_redis(SecretStr(own_redis.url)) as client:
        limits = SignInLimits(client, settings, registry)
        await limits.check(new_email(), new_address())
        yield limits


def decided(registry: CollectorRegistry, by: str) -> float | None:
    return registry.get_sample_value("limits_decided_total", {"by": by})


@asynccontextmanager
async def read_only(server: Server) -> AsyncGenerator[None]:
    """A server that answers, and refuses to write."""
    async with open_redis(SecretStr(server.url)) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", "1")  # type: ignore[no-untyped-call]
        yield
        await client.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]


@asynccontextmanager
async def away(server: Server, how: str) -> AsyncGenerator[None]:
    if how == "read-only":
        async with read_only(server):
            yield
        return
    if how == "stopped":
        with server.stopped():
            yield
        return
    with server.paused(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_limits, "DEADLINE_SECONDS", SILENCE_SECONDS)
        yield


@pytest.mark.parametrize("how", ["stopped", "paused", "read-only"])
async def test_while_state_is_away_a_replica_limits_by_itself_with_the_same_numbers(
    own_redis: Server,
    own_limits: SignInLimits,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(own_limits._state.breaker, "_pause", 1000.0)
    email, address, person = new_email(), new_address(), uuid.uuid4()

    async with away(own_redis, how):
        assert await allowed([own_limits.check(email, new_address()) for _ in range(25)]) == PER_ACCOUNT
        assert await allowed([own_limits.check(new_email(), address) for _ in range(40)]) == PER_ADDRESS
        assert await allowed([own_limits.check_second_factor(person, None) for _ in range(9)]) == SECOND_FACTOR
        assert await allowed([own_limits.check_mail(email, new_address()) for _ in range(9)]) == MAILS
        for _ in range(PER_ACCOUNT):
            await own_limits.client_failed("a client", new_address())
            await own_limits.client_failed("a client", address)
        assert await allowed([own_limits.check_client("a client", address)]) == 0

        assert decided(registry, "state") == 1  # before
        assert decided(registry, "local") == 25 + 40 + 9 + 9 + 2 * PER_ACCOUNT + 1


@pytest.mark.parametrize("how", ["stopped", "paused"])
async def test_state_decides_again_once_it_is_back(
    own_redis: Server, own_limits: SignInLimits, registry: CollectorRegistry, how: str
) -> None:
    email, back = new_email(), new_email()
    async with away(own_redis, how):
        assert await allowed([own_limits.check(email, None) for _ in range(PER_ACCOUNT + 1)]) == PER_ACCOUNT

    async with asyncio.timeout(SECONDS):
        while decided(registry, "state") == 1:
            await own_limits.check_client("nobody", None)
            await asyncio.sleep(0.05)

    assert await allowed([own_limits.check(back, new_address()) for _ in range(25)]) == PER_ACCOUNT
    assert decided(registry, "state") == 27


class Counted:
    """Counts how often the real one was asked."""

    def __init__(self, limits: SignInLimits) -> None:
        self._real = limits._state.limiter
        self.asked = 0

    async def decide(self, questions: Sequence[Question]) -> list[Decision]:
        self.asked += 1
        return await self._real.decide(questions)


async def test_one_attempt_finds_out_that_state_is_silent_and_the_others_do_not_wait(
    own_redis: Server, settings: AuthSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_limits, "PAUSE_SECONDS", 1000.0)
    async with open_redis(SecretStr(own_redis.url)) as client:
        limits = SignInLimits(client, settings, CollectorRegistry())
        counted = Counted(limits)
        monkeypatch.setattr(limits._state, "limiter", counted)
        async with away(own_redis, "paused"):
            await limits.check(new_email(), None)
            assert await allowed([limits.check(new_email(), new_address()) for _ in range(20)]) == 20

    assert counted.asked == 1


async def test_that_state_is_away_is_said_once_and_not_for_whom(
    own_redis: Server, own_limits: SignInLimits, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_limits, "SAID_EVERY_SECONDS", 1000.0)
    monkeypatch.setattr(own_limits._state, "_said_at", -1000.0)
    configure_logging("auth", "INFO")
    capsys.readouterr()
    email, address = new_email(), new_address()

    with own_redis.stopped():
        assert await allowed([own_limits.check(email, address) for _ in range(5)]) == 5

    out = capsys.readouterr().out
    [line] = [json.loads(line) for line in out.splitlines()]
    assert (line["event"], line["level"]) == ("limits_decided_without_state", "warning")
    assert email not in out
    assert address not in out
