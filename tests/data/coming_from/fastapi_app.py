"""A to-do list, as a first app with FastAPI has it, which pages of another origin call."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from pydantic import BaseModel
from starlette.middleware.cors import CORSMiddleware

app = FastAPI(title="To do")

app.add_middleware(
    CORSMiddleware,
    allow_origins=["https://ui.example"],
    allow_origin_regex=r"https://pr-\d+\.preview\.example",
    allow_methods=["GET", "POST", "PUT"],
    allow_headers=["authorization", "x-version"],
    allow_credentials=True,
    expose_headers=["x-request-id"],
)


class Task(BaseModel):
    text: str
    done: bool = False


tasks: dict[int, Task] = {1: Task(text="write the page")}


def user(authorization: Annotated[str | None, Header()] = None) -> str:
    if authorization != "Bearer ann":
        raise HTTPException(401, "sign in first")
    return "ann"


@app.get("/tasks")
async def listed(response: Response) -> list[Task]:
    response.headers["x-request-id"] = "7"
    return list(tasks.values())


@app.post("/tasks", status_code=201)
async def added(task: Task) -> Task:
    return task


@app.put("/tasks/{number}")
async def changed(number: int, task: Task, by: Annotated[str, Depends(user)]) -> Task:
    if number not in tasks:
        raise HTTPException(404, f"{by} has no such task")
    return task


@app.delete("/tasks/{number}", status_code=204)
async def removed(number: int) -> None:
    return None


@app.get("/share")
async def share() -> float:
    return sum(task.done for task in tasks.values()) / 0
