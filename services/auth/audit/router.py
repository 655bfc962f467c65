"""The audit log, for administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.auth.audit.chain import Chain
from services.auth.audit.dependencies import OriginDep
from services.auth.audit.repository import AuditRepository, Filters
from services.auth.audit.schemas import AuditPage, AuditQuery, AuditRead
from services.auth.audit.service import AuditService
from services.common.bodies import require_single_parameters
from services.common.openapi import refusals
from services.common.postgres import SessionDep
from services.common.security import CurrentPrincipal, GuardedRoute, require_scopes

router = APIRouter(
    prefix="/v1/audit", tags=["audit"], responses=refusals(400, 401, 403, 422, 503), route_class=GuardedRoute
)


async def get_audit_service(request: Request, session: SessionDep) -> AuditService:
    """The audit log in the request's session."""
    return AuditService(AuditRepository(session), Chain(request.state.settings))


AuditServiceDep = Annotated[AuditService, Depends(get_audit_service)]


@router.get("", dependencies=[require_scopes("users:admin"), Depends(require_single_parameters)])
async def list_entries(
    query: Annotated[AuditQuery, Query()],
    audit: AuditServiceDep,
    principal: CurrentPrincipal,
    origin: OriginDep,
    response: Response,
) -> AuditPage:
    """List security events, the newest first. Each reading is one itself."""
    response.headers["Cache-Control"] = "no-store"
    filters = Filters(query.event, query.subject, query.actor, query.since)
    before = int(query.cursor) if query.cursor else None
    rows = await audit.read(filters, before, query.limit, origin, principal.subject)
    page, more = rows[: query.limit], rows[query.limit :]
    items = [AuditRead.model_validate(row) for row in page]
    return AuditPage(items=items, next_cursor=str(items[-1].id) if more else None)
