"""Settings of auth."""

import base64
import binascii
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from services.common.settings import (
    HttpUrl,
    PostgresSettings,
    ProcessSettings,
    SecretKey,
    ServiceSettings,
    StateSettings,
)

KEY_BYTES = 32
MOST_COUNTED = 1_000_000  # a minute or an hour: more could not be counted exactly in Redis
# OWASP's Password Storage Cheat Sheet: iterations and the memory that makes them equally strong; ASVS 5.0, appendix C
ARGON2_LEAST_MEMORY_KIB = {1: 47_104, 2: 19_456, 3: 12_288, 4: 9_216, 5: 7_168}
RIGHT_KEY = "`openssl rand -hex 32` prints a good one"


def _check_encryption_key(value: SecretStr) -> SecretStr:
    encryption_key(value)
    return value


def encryption_key(value: SecretStr) -> bytes:
    """The 32 bytes of a key-encryption key, written as hexadecimal or base64. Raises ValueError."""
    text = value.get_secret_value().strip()
    if not text:
        raise ValueError(
            f"is not set: the signing keys in the database open with that of then alone; for a new one {RIGHT_KEY}"
        )
    for read in (bytes.fromhex, lambda word: base64.b64decode(word, validate=True)):
        try:
            key = read(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES and len(set(key)) > 1:
            return key
    raise ValueError(f"is not {KEY_BYTES} random bytes in hexadecimal or base64; {RIGHT_KEY}")


EncryptionKey = Annotated[SecretStr, AfterValidator(_check_encryption_key)]


class SealingSettings(ProcessSettings):
    """What opens the secrets in the database: signing keys and authenticator apps."""

    key_encryption_key: EncryptionKey = Field(default=SecretStr(""), validate_default=True)
    # the one before, while `keys rewrap` has not been run; then it can be forgotten
    previous_key_encryption_key: EncryptionKey | None = None


class KeySettings(SealingSettings):
    """How long each state of a signing key lasts."""

    key_signing_seconds: int = Field(default=30 * 86_400, ge=1)  # a key signs so long, then the next one does
    # published so long before it signs: longer than services keep a key set without looking again (300 s)
    key_publish_seconds: int = Field(default=3600, ge=0)
    access_token_seconds: int = Field(default=300, ge=10, le=3600)
    id_token_seconds: int = Field(default=300, ge=10, le=3600)


class AuditSettings(ProcessSettings):
    """What makes the audit log's chain one that only auth can write."""

    # apart from the key-encryption key: it must outlive every change of that one, as the chain does
    audit_key: SecretKey


class RetentionSettings(ProcessSettings):
    """How long rows that nobody needs any more are kept."""

    audit_retention_days: int = Field(default=400, ge=1)
    ended_retention_days: int = Field(default=30, ge=1)  # sessions, grants and codes that have ended


class MailSettings(ProcessSettings):
    """How mail leaves: through SMTP, or in development to the log."""

    mailer: Literal["none", "smtp", "console"] = "none"
    mail_from: str = Field(default="", max_length=320)
    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _mail_can_leave(self) -> Self:
        if self.mailer == "console" and self.environment != "development":
            raise ValueError(
                "MAILER=console writes codes to the log, which needs ENVIRONMENT=development; smtp is right"
            )
        if self.mailer == "smtp" and not (self.smtp_host and self.mail_from):
            raise ValueError("MAILER=smtp needs SMTP_HOST and MAIL_FROM")
        if self.mailer == "smtp" and self.smtp_tls == "none" and self.environment != "development":
            raise ValueError("SMTP_TLS=none would send codes in the clear; starttls or tls is right")
        return self


class PasswordSettings(ProcessSettings):
    """Argon2id, by default as OWASP's Password Storage Cheat Sheet says; a row with less is hashed anew at sign-in."""

    argon2_memory_kib: int = Field(default=19_456, ge=7_168)
    argon2_iterations: int = Field(default=2, ge=1)
    argon2_parallelism: int = Field(default=1, ge=1, le=4)
    password_threads: int = Field(default=2, ge=1, le=16)  # each takes argon2_memory_kib while it hashes
    password_queue: int = Field(default=32, ge=1)  # waiting for a thread; who comes then gets 503

    @model_validator(mode="after")
    def _costs_enough(self) -> Self:
        least = ARGON2_LEAST_MEMORY_KIB[min(self.argon2_iterations, max(ARGON2_LEAST_MEMORY_KIB))]
        if self.argon2_memory_kib < least:
            raise ValueError(
                f"ARGON2_ITERATIONS={self.argon2_iterations} needs ARGON2_MEMORY_KIB of {least} or more; "
                "as strong as each other are 47104 with 1, 19456 with 2, 12288 with 3, 9216 with 4, 7168 with 5"
            )
        return self


class SessionSettings(ProcessSettings):
    """How long people stay signed in."""

    session_seconds: int = Field(default=30 * 86_400, ge=60)
    session_idle_seconds: int = Field(default=7 * 86_400, ge=60)


class CommandSettings(
    PostgresSettings, KeySettings, AuditSettings, RetentionSettings, PasswordSettings, SessionSettings
):
    """What the commands of operators and CronJobs read."""

    service_name: ClassVar[str] = "auth"

    state_url: SecretStr | None = None


class AuthSettings(
    ServiceSettings,
    PostgresSettings,
    StateSettings,
    KeySettings,
    AuditSettings,
    MailSettings,
    PasswordSettings,
    SessionSettings,
):
    """What `serve` reads."""

    service_name: ClassVar[str] = "auth"

    issuer: HttpUrl  # the public origin; `iss` of every token, to the last character
    audience: str = Field(min_length=1)  # `aud` of every access token: the platform's API
    token_key: SecretKey  # derives each refresh token's successor, and what forms carry against forgery

    code_seconds: int = Field(default=60, ge=5, le=60)
    refresh_token_seconds: int = Field(default=14 * 86_400, ge=60)  # unused so long, it ends
    refresh_retry_seconds: int = Field(default=10, ge=0, le=60)  # so long the same client gets the same successor
    grant_seconds: int = Field(default=90 * 86_400, ge=60)  # refreshed or not, then a person signs in again

    sign_up: Literal["open", "closed"] = "open"
    sign_up_role: str = Field(default="viewer", pattern=r"^([a-z][a-z0-9-]{0,39})?$")  # empty: no role, no scope

    # attempts a minute: in one account, from one address, of everybody
    sign_in_per_account: int = Field(default=10, ge=1, le=MOST_COUNTED)
    sign_in_per_address: int = Field(default=30, ge=1, le=MOST_COUNTED)
    sign_in_overall: int = Field(default=3000, ge=1, le=MOST_COUNTED)
    second_factor_per_account: int = Field(
        default=5, ge=1, le=MOST_COUNTED
    )  # a million codes, three of them good at a time
    # mails an hour that somebody may ask for: to one recipient, from one address
    mails_per_recipient: int = Field(default=5, ge=1, le=MOST_COUNTED)
    mails_per_address: int = Field(default=30, ge=1, le=MOST_COUNTED)
