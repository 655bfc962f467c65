"""What clients may rely on: OpenID Connect Discovery 1.0 section 3 and RFC 8414 section 2, one document for both."""

from typing import Any

from services.auth.clients.models import METHODS
from services.auth.oauth.tokens import ALGORITHM
from services.auth.scopes import SCOPES
from services.auth.settings import AuthSettings

MAX_AGE_SECONDS = 300
CONFIDENTIAL = [method for method in METHODS if method != "none"]


def metadata(settings: AuthSettings) -> dict[str, Any]:
    """The document. What it does not name is not there, whatever the standards would have by default."""
    origin = settings.issuer.rstrip("/")
    return {
        "issuer": settings.issuer,
        "authorization_endpoint": f"{origin}/oauth2/authorize",
        "token_endpoint": f"{origin}/oauth2/token",
        "revocation_endpoint": f"{origin}/oauth2/revoke",
        "introspection_endpoint": f"{origin}/oauth2/introspect",
        "userinfo_endpoint": f"{origin}/oauth2/userinfo",
        "end_session_endpoint": f"{origin}/oauth2/logout",
        "jwks_uri": f"{origin}/.well-known/jwks.json",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "introspection_endpoint_auth_methods_supported": CONFIDENTIAL,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash", "sid"),
            *("name", "updated_at", "email", "email_verified"),
        ],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "authorization_response_iss_parameter_supported": True,
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
    }
