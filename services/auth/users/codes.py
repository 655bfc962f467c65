"""Codes that are mailed: to finish a sign-up, or to choose a new password.

Fifty random bits, fifteen minutes, five attempts. A wrong attempt is written down like a right one, so `check` answers
instead of raising, and the caller commits whatever it was. For an address that nothing is mailed to there is a row as
well, whose code nobody has: forms, times and answers are those of any other. Nothing here commits.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal
from uuid import UUID

from uuid_utils.compat import uuid7

from services.auth.users import crockford
from services.auth.users.factor_repository import CodeRepository
from services.auth.users.models import MailedCode

CHARACTERS = 10
LIFETIME = timedelta(minutes=15)
ATTEMPTS = 5

Purpose = Literal["sign_up", "reset"]


class Result(StrEnum):
    """What a typed code was. A page tells `wrong` and `ended` apart, which says nothing about the address."""

    RIGHT = "right"
    WRONG = "wrong"
    ENDED = "ended"  # used, too late, too many attempts, or never there


@dataclass(frozen=True, slots=True)
class Outcome:
    """`row` stands beside RIGHT alone: whose it is, and the account that comes to be."""

    result: Result
    row: MailedCode | None = None


@dataclass(frozen=True, slots=True)
class NewCode:
    """What the form carries, and what the mail does. The code is not shown in a log by accident."""

    id: UUID
    code: str

    def __repr__(self) -> str:
        return f"NewCode(id={self.id})"


class MailedCodes:
    """Codes in the transaction of the given session."""

    def __init__(self, codes: CodeRepository) -> None:
        self._codes = codes

    async def make(
        self,
        purpose: Purpose,
        email: str,
        *,
        known: bool,
        name: str | None = None,
        password_hash: str | None = None,
    ) -> NewCode:
        """A new code. With `known` false nobody has it: mail nothing, or something else, but not the code."""
        code = crockford.make(CHARACTERS)
        code_hash = crockford.digest(code)
        row = MailedCode(
            id=uuid7(),
            purpose=purpose,
            email=email,
            code_hash=code_hash if known else None,
            name=name,
            password_hash=password_hash,
            expires_at=await self._codes.now() + LIFETIME,
        )
        await self._codes.add(row)
        return NewCode(id=row.id, code=code)

    async def email(self, code_id: UUID, purpose: Purpose) -> str | None:
        """To which address the code went, or would have gone; None when there never was one."""
        return await self._codes.email(code_id, purpose)

    async def end(self, email: str, purpose: Purpose) -> None:
        """Have no code for this purpose be good that is on its way to an address."""
        await self._codes.end(email, purpose)

    async def check(self, code_id: UUID, purpose: Purpose, typed: str) -> Outcome:
        """Count an attempt and say what it was; a right one uses the code. Commit in either case."""
        given = crockford.digest(typed)
        row = await self._codes.attempt(code_id, purpose, ATTEMPTS)
        if row is None:
            return Outcome(Result.ENDED)
        # without a code something is compared all the same, which no typed code is the hash of
        expected = row.code_hash if row.code_hash is not None else secrets.token_bytes(len(given))
        if not hmac.compare_digest(given, expected):
            return Outcome(Result.ENDED if row.attempts >= ATTEMPTS else Result.WRONG)
        await self._codes.use(code_id)
        return Outcome(Result.RIGHT, row)
