"""PKCE (RFC 7636) as OAuth 2.1 wants it."""

import re
from typing import Any, ClassVar

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636 import CodeChallenge  # type: ignore[import-untyped]
from authlib.oauth2.rfc7636.challenge import compare_s256_code_challenge  # type: ignore[import-untyped]

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # BASE64URL(SHA256(…)), RFC 7636 4.2
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # 4.1


class S256(CodeChallenge):  # type: ignore[misc]
    """PKCE of all clients, by SHA-256 alone: Authlib's default takes `plain`, and asks public clients only."""

    SUPPORTED_CODE_CHALLENGE_METHOD: ClassVar[list[str]] = ["S256"]

    def validate_code_challenge(self, grant: Any, _redirect_uri: str) -> None:
        """Refuse authorization requests without a challenge of the right form."""
        parameters = grant.request.parameters
        if not CHALLENGE.fullmatch(parameters.get("code_challenge") or ""):
            raise InvalidRequestError("code_challenge is missing, or no SHA-256 in base64url")
        if parameters.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method must be S256")

    def validate_code_verifier(self, grant: Any, _result: None) -> None:
        """Refuse a code without the verifier of its challenge; every code has one."""
        verifier = grant.request.parameters.get("code_verifier") or ""
        challenge = grant.request.authorization_code.code_challenge
        if not VERIFIER.fullmatch(verifier) or not compare_s256_code_challenge(verifier, challenge):
            raise InvalidGrantError("The code_verifier does not belong to the code")
