"""Secrets at rest: AES-256-GCM (NIST SP 800-38D) under a key that is not in the database."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.auth.settings import SealingSettings, encryption_key
from services.common.exceptions import CannotStartError

NONCE_BYTES = 12
NAME_DIGITS = 16


class SealedWithAnotherKeyError(CannotStartError):
    """What is in the database was sealed with another key-encryption key; the message says what to do."""


class Sealer:
    """Seals with the key that is current; opens what it or the one before it sealed."""

    def __init__(self, settings: SealingSettings) -> None:
        """Take the keys of KEY_ENCRYPTION_KEY and PREVIOUS_KEY_ENCRYPTION_KEY."""
        given = [settings.key_encryption_key, settings.previous_key_encryption_key]
        keys = [encryption_key(value) for value in given if value is not None]
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self.current = _name(keys[0])

    def seal(self, secret: bytes, context: str) -> bytes:
        """Nonce and ciphertext; `context` says what it belongs to, and opens it again or nothing does."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._ciphers[self.current].encrypt(nonce, secret, context.encode())

    def open(self, sealed: bytes, context: str, sealed_with: str) -> bytes:
        """The secret. Raises SealedWithAnotherKeyError, also for what was changed or moved."""
        cipher = self._ciphers.get(sealed_with)
        if cipher is None:
            raise SealedWithAnotherKeyError(
                f"{context} was sealed with the key-encryption key {sealed_with}, and KEY_ENCRYPTION_KEY is "
                f"{self.current}. Give the key of then, or set it as PREVIOUS_KEY_ENCRYPTION_KEY and run "
                "`python -m services.auth keys rewrap`."
            )
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):  # ValueError: too short for a nonce
            raise SealedWithAnotherKeyError(
                f"{context} does not open with its key {sealed_with}: the row was changed, or moved."
            ) from None


def _name(key: bytes) -> str:
    """Tells keys apart and tells nothing about them."""
    return hashlib.sha256(b"slipway key-encryption key" + key).hexdigest()[:NAME_DIGITS]
