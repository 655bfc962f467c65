"""Cursors are good for the list that gave them out, and unchanged, only."""

import base64
import secrets
import uuid
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.items.cursor import CursorSigner, Position
from services.items.exceptions import BadCursorError
from services.items.main import create_app
from tests.items.conftest import Caller, MakeCaller, MakeSettings, caller_of
from tests.items.test_api import assert_problem
from tests.support.clients import app_client
from tests.support.tokens import Issuer

SIGNER = CursorSigner(secrets.token_hex(32))
CURSOR = SIGNER.sign(Position("lamp", uuid.UUID(int=7)), b"mine")


async def cursor_of(caller: Caller, **params: Any) -> str:
    """The cursor of a first page."""
    for n in range(3):
        await caller.create(name=f"lamp {n}", tags=["a"])
    return str((await caller.list(limit=1, **params)).json()["next_cursor"])


@pytest.mark.parametrize(
    ("given_for", "used_for"),
    [
        ({}, {"sort": "created_at"}),
        ({}, {"sort": "name"}),
        ({"sort": "name"}, {"sort": "-name"}),
        ({"sort": "name"}, {"sort": "price_minor", "currency": "EUR"}),
        ({}, {"currency": "EUR"}),
        ({"currency": "EUR"}, {}),
        ({"currency": "EUR"}, {"currency": "SEK"}),
        ({"tag": "a"}, {"tag": "b"}),
        ({"tag": "a"}, {"name_prefix": "a"}),
        ({"name_prefix": "lamp"}, {"name_prefix": "lam"}),
    ],
    ids=str,
)
async def test_a_cursor_of_another_list_is_400(
    alice: Caller, given_for: dict[str, str], used_for: dict[str, str]
) -> None:
    cursor = await cursor_of(alice, **given_for)

    assert (await alice.list(cursor=cursor, **given_for)).status_code == 200
    problem = assert_problem(await alice.list(cursor=cursor, **used_for), 400)
    assert problem["type"] == "/problems/bad-cursor"


async def test_a_cursor_of_another_person_is_400(alice: Caller, bob: Caller, admin: Caller) -> None:
    cursor = await cursor_of(alice)

    assert_problem(await bob.list(cursor=cursor), 400)
    assert_problem(await admin.list(cursor=cursor), 400)


async def test_a_cursor_does_not_outlive_the_loss_of_items_admin(caller: MakeCaller) -> None:
    admin = caller(scope="items:read items:write items:admin")
    cursor = await cursor_of(admin)

    assert (await admin.list(cursor=cursor)).status_code == 200
    assert_problem(await caller(admin.subject).list(cursor=cursor), 400)


async def test_the_size_of_the_page_may_change(alice: Caller) -> None:
    cursor = await cursor_of(alice)

    assert len((await alice.list(cursor=cursor, limit=50)).json()["items"]) == 2


async def test_a_cursor_is_good_on_another_replica_with_the_same_key_only(
    make_settings: MakeSettings, issuer: Issuer
) -> None:
    settings = make_settings()
    async with (
        app_client(create_app(settings)) as one,
        app_client(create_app(settings)) as two,
        app_client(create_app(make_settings())) as stranger,
    ):
        alice = caller_of(one, issuer)
        cursor = await cursor_of(alice)

        async def status(client: httpx2.AsyncClient) -> int:
            return (await caller_of(client, issuer, alice.subject).list(cursor=cursor)).status_code

        assert [await status(client) for client in (one, two, stranger)] == [200, 200, 400]


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "=" * 9, "ÄÖ", "null", "eyJ9", "%00", "a b", "A" * 4096])
async def test_a_made_up_cursor_is_400(alice: Caller, cursor: str) -> None:
    assert_problem(await alice.list(cursor=cursor), 400)


@given(position=st.integers(0, len(CURSOR) - 1), character=st.characters())
@example(position=len(CURSOR) - 1, character="R")  # differs in bits that base64 drops
def test_a_cursor_with_another_character_is_refused(position: int, character: str) -> None:
    changed = CURSOR[:position] + character + CURSOR[position + 1 :]
    if changed == CURSOR:
        return

    with pytest.raises(BadCursorError):
        SIGNER.read(changed, b"mine")


@given(bits=st.integers(0, 8 * len(base64.urlsafe_b64decode(CURSOR + "==")) - 1), cut=st.booleans())
def test_a_cursor_with_another_bit_or_a_lost_end_is_refused(bits: int, cut: bool) -> None:
    raw = bytearray(base64.urlsafe_b64decode(CURSOR + "=="))
    if cut:
        del raw[bits // 8 :]
    else:
        raw[bits // 8] ^= 1 << bits % 8

    with pytest.raises(BadCursorError):
        SIGNER.read(base64.urlsafe_b64encode(raw).decode(), b"mine")


@given(
    value=st.text(max_size=200) | st.integers(0, 10**12), listing=st.binary(max_size=30), other=st.binary(max_size=30)
)
def test_what_was_signed_is_read_back_for_the_same_listing_only(value: str | int, listing: bytes, other: bytes) -> None:
    cursor = SIGNER.sign(Position(value, uuid.UUID(int=1)), listing)

    assert SIGNER.read(cursor, listing) == Position(value, uuid.UUID(int=1))
    if other != listing:
        with pytest.raises(BadCursorError):
            SIGNER.read(cursor, other)


def test_the_longest_cursor_fits_into_its_parameter() -> None:
    assert len(SIGNER.sign(Position("\x01" * 200, uuid.uuid4()), b"")) < 4096
