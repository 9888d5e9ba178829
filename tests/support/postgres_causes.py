"""Polls of a PostgreSQL until they agree on what is wrong."""

from support.db_polls import Polled, Polls
from support.waiting import eventually


async def until_cause(polls: Polls, cause: str) -> Polled:
    """Poll until the cause is this one, and once more: two polls that agree change the status."""

    async def claim() -> bool:
        return (await polls.poll("fast")).pulse.cause == cause

    await eventually(claim)
    return await polls.poll("fast")
