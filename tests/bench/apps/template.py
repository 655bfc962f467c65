"""Items the way the published FastAPI template lays an application out; our own writing, from its shape.

A sync SQLModel session for each request, endpoints as plain functions in threads, a token decoded and its user looked
up each time, and lists that count all rows first.
"""

import os
import uuid
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from sqlmodel import Field, Session, SQLModel, create_engine, func, select

SECRET = os.environ["SECRET"]
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"))


class User(SQLModel, table=True):
    """Who owns."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    email: str = Field(unique=True, index=True, max_length=255)
    is_active: bool = True
    is_superuser: bool = False
    full_name: str | None = Field(default=None, max_length=255)
    hashed_password: str


class ItemBase(SQLModel):
    """What all shapes share; as many fields as Slipway's items have."""

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=4000)
    price_minor: int = Field(ge=0)
    currency: str = Field(min_length=3, max_length=3)


class Item(ItemBase, table=True):
    """One item."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    updated_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    owner_id: uuid.UUID = Field(foreign_key="user.id", index=True, ondelete="CASCADE")


class ItemPublic(ItemBase):
    """An item as clients see it."""

    id: uuid.UUID
    owner_id: uuid.UUID
    created_at: datetime
    updated_at: datetime


class ItemsPublic(SQLModel):
    """A page."""

    data: list[ItemPublic]
    count: int


def get_session() -> Generator[Session]:
    """One session a request."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
TokenDep = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="/login"))]


def get_current_user(session: SessionDep, token: TokenDep) -> User:
    """Decode, and look up."""
    try:
        payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(403, "Could not validate credentials") from None
    user = session.get(User, uuid.UUID(payload["sub"]))
    if user is None:
        raise HTTPException(404, "User not found")
    if not user.is_active:
        raise HTTPException(400, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
app = FastAPI(docs_url=None, redoc_url=None)


@app.get("/v1/items", response_model=ItemsPublic)
def read_items(session: SessionDep, user: CurrentUser, skip: int = 0, limit: int = 20) -> Any:
    """Count, then read a page."""
    count = session.exec(select(func.count()).select_from(Item).where(Item.owner_id == user.id)).one()
    newest = select(Item).where(Item.owner_id == user.id).order_by(Item.created_at.desc())  # type: ignore[attr-defined]
    return {"data": session.exec(newest.offset(skip).limit(limit)).all(), "count": count}


@app.get("/v1/items/{item_id}", response_model=ItemPublic)
def read_item(session: SessionDep, user: CurrentUser, item_id: uuid.UUID) -> Any:
    """Read one."""
    item = session.get(Item, item_id)
    if item is None:
        raise HTTPException(404, "Item not found")
    if not user.is_superuser and item.owner_id != user.id:
        raise HTTPException(403, "Not enough permissions")
    return item


@app.post("/v1/items", response_model=ItemPublic, status_code=201)
def create_item(session: SessionDep, user: CurrentUser, item_in: ItemBase) -> Any:
    """Create one."""
    item = Item.model_validate(item_in, update={"owner_id": user.id})
    session.add(item)
    session.commit()
    session.refresh(item)
    return item
