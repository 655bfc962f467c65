"""Passwords are hashed ten times a second, on the loop or in a thread, while others ask for something cheap."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import argon2
from fastapi import FastAPI

from services.auth.settings import PasswordSettings

PASSWORDS_PER_SECOND = 10
fields = PasswordSettings.model_fields
hasher = argon2.PasswordHasher(
    time_cost=fields["argon2_iterations"].default,
    memory_cost=fields["argon2_memory_kib"].default,
    parallelism=fields["argon2_parallelism"].default,
)


async def keep_hashing() -> None:
    """Hash as auth does, or where the loop stands still for it."""
    while True:
        await asyncio.sleep(1 / PASSWORDS_PER_SECOND)
        if os.environ["WHERE"] == "thread":
            await asyncio.to_thread(hasher.hash, "a password of somebody")
        elif os.environ["WHERE"] == "loop":
            hasher.hash("a password of somebody")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Hash as long as it serves."""
    task = asyncio.create_task(keep_hashing())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)


@app.get("/ping")
async def ping() -> dict[str, str]:
    """Say pong."""
    return {"ping": "pong"}
