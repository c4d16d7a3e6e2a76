"""The supervisor asks the control process about a crash, whatever has become of that process."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from extproc.processes import notices
from extproc.processes.notices import Notices, answer


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, its = notices.pair()
    with ours, its:
        yield ours, its


async def test_each_notice_gets_its_answer(ends: tuple[socket.socket, socket.socket]) -> None:
    told: list[str] = []

    async def judge(ended: str) -> bool:
        told.append(ended)
        return ended == "SIGSEGV"

    ours, its = ends
    answering = asyncio.create_task(answer(its, judge))
    asking = Notices(ours)
    assert [await asking.ask(ended) for ended in ("SIGSEGV", "SIGBUS", "SIGSEGV")] == [True, False, True]
    assert told == ["SIGSEGV", "SIGBUS", "SIGSEGV"]
    answering.cancel()


async def test_without_an_answer_it_is_no_and_a_late_one_is_nobody_s(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, its = ends
    asking = Notices(ours)
    monkeypatch.setattr(notices, "PATIENCE", 0.01)
    assert not await asking.ask("SIGSEGV")
    monkeypatch.setattr(notices, "PATIENCE", 10.0)

    async def judge(_: str) -> bool:
        return next(answers)

    answers = iter([True, False])
    answering = asyncio.create_task(answer(its, judge))  # the next control process, which reads both
    assert not await asking.ask("SIGSEGV"), "the yes was for the first"
    answering.cancel()
