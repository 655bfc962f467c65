"""What a client may know of the person whose access token it has (OpenID Connect Core 5.3, 5.4)."""

from typing import Any

from services.auth.oauth.repository import OAuthRepository
from services.auth.oauth.tokens import TokenFacts, Tokens
from services.common.exceptions import ForbiddenError, UnauthenticatedError


def userinfo(repository: OAuthRepository, tokens: Tokens, access_token: str) -> dict[str, Any]:
    """The claims of the token's scopes. Raises UnauthenticatedError, ForbiddenError."""
    claims = tokens.read_access(access_token)
    facts = None if claims is None else TokenFacts.of(claims)
    if claims is None or facts is None or not repository.is_live(facts):
        raise UnauthenticatedError("The access token is not valid", challenge='Bearer error="invalid_token"')
    scopes = claims["scope"].split()
    user = None if facts.user_id is None else repository.user(facts.user_id)
    if user is None or "openid" not in scopes:
        challenge = 'Bearer error="insufficient_scope", scope="openid"'
        raise ForbiddenError("This needs the scope openid", headers={"WWW-Authenticate": challenge})
    said: dict[str, Any] = {"sub": str(user.id)}
    if "profile" in scopes:
        said |= {"name": user.name, "updated_at": int(user.updated_at.timestamp())}
    if "email" in scopes:
        # proven: a code that was mailed there has come back
        said |= {"email": user.email, "email_verified": user.email_verified_at is not None}
    return said
