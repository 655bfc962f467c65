"""The template's application with async endpoints and sessions on asyncpg: what a team does to it for speed."""

import os
import uuid
from collections.abc import AsyncGenerator
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tests.bench.apps.template import SECRET, Item, ItemBase, ItemPublic, ItemsPublic, TokenDep, User

engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://"))
sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def get_session() -> AsyncGenerator[AsyncSession]:
    """One session a request."""
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_current_user(session: SessionDep, token: TokenDep) -> User:
    """Decode, and look up."""
    try:
        payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(403, "Could not validate credentials") from None
    user = await session.get(User, uuid.UUID(payload["sub"]))
    if user is None or not user.is_active:
        raise HTTPException(404, "User not found")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
app = FastAPI(docs_url=None, redoc_url=None)


@app.get("/v1/items", response_model=ItemsPublic)
async def read_items(session: SessionDep, user: CurrentUser, skip: int = 0, limit: int = 20) -> Any:
    """Count, then read a page."""
    count = (await session.exec(select(func.count()).select_from(Item).where(Item.owner_id == user.id))).one()
    newest = select(Item).where(Item.owner_id == user.id).order_by(Item.created_at.desc())  # type: ignore[attr-defined]
    return {"data": (await session.exec(newest.offset(skip).limit(limit))).all(), "count": count}


@app.get("/v1/items/{item_id}", response_model=ItemPublic)
async def read_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> Any:
    """Read one."""
    item = await session.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "Item not found")
    if not user.is_superuser and item.owner_id != user.id:
        raise HTTPException(403, "Not enough permissions")
    return item


@app.post("/v1/items", response_model=ItemPublic, status_code=201)
async def create_item(session: SessionDep, user: CurrentUser, item_in: ItemBase) -> Any:
    """Create one."""
    item = Item.model_validate(item_in, update={"owner_id": user.id})
    session.add(item)
    await session.commit()
    await session.refresh(item)
    return item
