"""The second factor: an authenticator app (TOTP, RFC 6238), and recovery codes for the day it is lost.

SHA-1, six digits and thirty seconds are what every app can do. The secret lies sealed in the database, and each
code is good once: its time step has to be later than the last one used (RFC 6238, 5.2; ASVS 5.0, 6.5.1). Nothing here
commits or counts attempts: the caller does, by `SignInLimits.check_second_factor`, before asking.
"""

import hmac
import io
import re
import secrets
import time
from base64 import b32encode
from dataclasses import dataclass
from uuid import UUID

import pyotp
import segno

from services.auth.sealing import Sealer
from services.auth.users import crockford
from services.auth.users.factor_repository import FactorRepository
from services.auth.users.models import TotpFactor

SECRET_BYTES = 20  # 160 bits: RFC 4226, 4
STEP_SECONDS = 30
WINDOW = 1  # steps to either side: clocks of phones
RECOVERY_CODES, RECOVERY_CHARACTERS = 10, 16  # of 80 bits
SIX_DIGITS = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class NewTotp:
    """What an app needs, to be shown once. It is not shown in a log by accident."""

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "NewTotp(…)"


class SecondFactor:
    """Authenticators and recovery codes of users, in the transaction of the given session."""

    def __init__(self, factors: FactorRepository, sealer: Sealer) -> None:
        self._factors = factors
        self._sealer = sealer

    async def is_on(self, user_id: UUID) -> bool:
        """Whether a second factor is asked for."""
        factor = await self._factors.totp(user_id)
        return factor is not None and factor.confirmed_at is not None

    async def begin(self, user_id: UUID, *, account: str, issuer: str) -> NewTotp | None:
        """A new secret for an app; it counts once it is confirmed. None when one is on already: remove it first."""
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = self._sealer.seal(secret, _context(user_id))
        if not await self._factors.put_unconfirmed(user_id, sealed, self._sealer.current):
            return None
        return provision(secret, account=account, issuer=issuer)

    async def pending(self, user_id: UUID, *, account: str, issuer: str) -> NewTotp | None:
        """The secret that waits for its confirmation, to show its page again."""
        factor = await self._factors.totp(user_id)
        if factor is None or factor.confirmed_at is not None:
            return None
        return provision(self._open(factor), account=account, issuer=issuer)

    async def confirm(self, user_id: UUID, code: str) -> list[str] | None:
        """Turn it on with a code of the app: new recovery codes, to be shown once; None when the code is wrong."""
        if not await self._take(user_id, code, confirm=True):
            return None
        return await self.renew_recovery_codes(user_id)

    async def check_totp(self, user_id: UUID, code: str) -> bool:
        """Whether this is a code of the user's app, of now, and not used before. It is used by this."""
        return await self._take(user_id, code, confirm=False)

    async def check_recovery(self, user_id: UUID, code: str) -> bool:
        """Whether this is a recovery code of the user's, and not used before. It is used by this."""
        return await self._factors.take_recovery_code(user_id, crockford.digest(code))

    async def check(self, user_id: UUID, code: str) -> str | None:
        """The method that took the code: `otp` or `recovery`, or None. Six digits are one of an app."""
        if SIX_DIGITS.fullmatch(_digits(code)):
            return "otp" if await self.check_totp(user_id, code) else None
        if not await self.is_on(user_id):
            return None
        return "recovery" if await self.check_recovery(user_id, code) else None

    async def renew_recovery_codes(self, user_id: UUID) -> list[str]:
        """Ten new ones, to be shown once; those before are good no more."""
        codes = [crockford.make(RECOVERY_CHARACTERS) for _ in range(RECOVERY_CODES)]
        await self._factors.replace_recovery_codes(user_id, [crockford.digest(code) for code in codes])
        return codes

    async def recovery_codes_left(self, user_id: UUID) -> int:
        """How many were not used."""
        return await self._factors.count_recovery_codes(user_id)

    async def remove(self, user_id: UUID) -> bool:
        """Turn it off and forget the recovery codes; whether there was one."""
        return await self._factors.remove_totp(user_id)

    async def _take(self, user_id: UUID, code: str, *, confirm: bool) -> bool:
        factor = await self._factors.totp(user_id)
        if factor is None:
            return False
        step = matching_step(self._open(factor), _digits(code))
        if step is None:
            return False
        return await self._factors.take_step(user_id, factor.secret_sealed, step, confirm=confirm)

    def _open(self, factor: TotpFactor) -> bytes:
        return self._sealer.open(factor.secret_sealed, _context(factor.user_id), factor.sealed_with)


def matching_step(secret: bytes, code: str) -> int | None:
    """The time step that the code is of, of the three that are good now; all are compared, in constant time."""
    totp = _totp(secret)
    now = int(time.time()) // STEP_SECONDS
    steps = range(now - WINDOW, now + WINDOW + 1)
    found = [step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())]
    return max(found, default=None)


def provision(secret: bytes, *, account: str, issuer: str) -> NewTotp:
    """Secret and URI for an app (Google's key URI format, which all apps read)."""
    totp = _totp(secret)
    return NewTotp(secret=totp.secret, uri=totp.provisioning_uri(name=account, issuer_name=issuer))


def qr_svg(uri: str) -> str:
    """The URI as a picture, to stand in a page: no style, no script, nothing that a strict CSP refuses."""
    picture = io.BytesIO()
    code = segno.make_qr(uri, error="m")
    code.save(
        picture, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, dark="#000", light="#fff", nl=False
    )
    return picture.getvalue().decode()


def _totp(secret: bytes) -> pyotp.TOTP:
    return pyotp.TOTP(b32encode(secret).decode(), digits=6, interval=STEP_SECONDS)


def _digits(code: str) -> str:
    """Apps show `123 456`; what is no plain digit stays and is wrong."""
    return "".join(code[: crockford.TYPED_MOST].split()).encode("ascii", "replace").decode()


def _context(user_id: UUID) -> str:
    return f"totp {user_id}"
