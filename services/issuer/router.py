"""The two paths that a client of the development issuer needs: a token, and the keys that verify it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse

from services.issuer.schemas import TokenError, TokenRead
from services.issuer.tokens import TokenSigner

router = APIRouter()

# RFC 6749, section 5.1: no cache may keep a token
NO_STORE = {"Cache-Control": "no-store"}


def refused(error: str, description: str) -> JSONResponse:
    """An error answer by RFC 6749, section 5.2."""
    return JSONResponse({"error": error, "error_description": description}, 400, NO_STORE)


@router.post("/oauth2/token", responses={400: {"model": TokenError}}, response_model=TokenRead)
async def issue_token(
    request: Request,
    grant_type: Annotated[str, Form()] = "",
    client_id: Annotated[str, Form(max_length=200)] = "",
    scope: Annotated[str, Form(max_length=1000)] = "",
) -> JSONResponse:
    """Sign a token for whoever asks: the client credentials grant (RFC 6749, section 4.4) without credentials."""
    if grant_type != "client_credentials":
        return refused("unsupported_grant_type", "grant_type must be client_credentials")
    if not client_id.isprintable() or not client_id:
        return refused("invalid_request", "client_id must name the caller, for example client_id=alice")
    signer: TokenSigner = request.state.signer
    token = signer.sign(signer.claims(subject=client_id, client_id=client_id, scope=scope))
    answer = TokenRead(access_token=token, expires_in=signer.lifetime_seconds, scope=scope)
    return JSONResponse(answer.model_dump(), headers=NO_STORE)


@router.get("/.well-known/jwks.json")
async def read_keys(request: Request) -> dict[str, Any]:
    """The public key as a JSON Web Key Set (RFC 7517, section 5)."""
    signer: TokenSigner = request.state.signer
    return signer.jwks()
