"""What a statement does wrong has a stated answer, and shows no value."""

import asyncio

import asyncpg  # type: ignore[import-untyped]
import httpx2
import pytest

from services.common.exceptions import UnavailableError
from services.common.failures import Failures
from services.common.postgres import (
    translated,
)
from tests.common.querying import service, unavailable
from tests.support import waits


async def test_a_statement_that_takes_too_long_is_503(database_url: str) -> None:
    async with service(database_url, database_statement_timeout_seconds=0.2) as client:
        unavailable(await client.get("/sleep/5"), "does not answer")
        async with asyncio.timeout(waits.SECONDS):  # a fifth of a second is little on a busy machine
            while (await client.get("/one")).status_code != 200:
                pass


@pytest.mark.parametrize("state", ["08006", "28000", "3D000", "53300", "57P03"])
async def test_what_says_that_the_server_is_away_is_503(rows: httpx2.AsyncClient, state: str) -> None:
    unavailable(await rows.get(f"/fail/{state}"), "does not answer")


@pytest.mark.parametrize(("state", "detail"), [("40P01", "conflicting"), ("40001", "conflicting"), ("55P03", "busy")])
async def test_conflicts_that_pass_are_503(rows: httpx2.AsyncClient, state: str, detail: str) -> None:
    unavailable(await rows.get(f"/fail/{state}"), detail)


async def test_a_bug_in_a_statement_is_500(rows: httpx2.AsyncClient) -> None:
    assert (await rows.get("/fail/42601")).status_code == 500


@pytest.mark.parametrize("word", ["%00", "a%00b"])
async def test_text_that_cannot_be_stored_is_the_clients_fault(rows: httpx2.AsyncClient, word: str) -> None:
    answer = await rows.post(f"/echo?word={word}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**30])
async def test_a_number_that_cannot_be_stored_is_the_clients_fault(rows: httpx2.AsyncClient, value: int) -> None:
    assert (await rows.post(f"/number?value={value}")).status_code == 422


async def test_a_schema_from_before_a_migration_is_503(
    rows: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for state in ("42P01", "42703"):
        unavailable(await rows.get(f"/fail/{state}"), "not at this version's schema")

    assert '"reason":"schema"' in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["TimeoutError", "ConnectionResetError", "OSError"])
async def test_an_error_of_the_endpoints_own_is_not_the_databases(rows: httpx2.AsyncClient, kind: str) -> None:
    assert (await rows.get(f"/own/{kind}")).status_code == 500


async def test_no_value_of_a_failed_statement_is_logged(
    rows: httpx2.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await rows.post("/duplicate?word=marker")).status_code == 500

    said = capsys.readouterr().out
    assert "SQLSTATE 23505" in said
    assert "IntegrityError" in said
    assert "marker" not in said


def test_errors_that_are_not_of_the_database_pass() -> None:
    failures = Failures(None)
    with pytest.raises(KeyError), translated(failures):
        raise KeyError
    with pytest.raises(OSError, match="disk"), translated(failures):
        raise OSError("disk")
    with pytest.raises(UnavailableError), translated(failures):
        raise asyncpg.InterfaceError("closed")
