"""What `extproc infer` prints: the table, JSON, headers, and a bar for terminals alone."""

import json
import os
import pty
import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from extproc.cli.infer_output import _table
from extproc.inference.call import Answer
from extproc.inference.tally import Tally
from tests.cli.infer.conftest import EXPERIMENT, Envoy, Run, command, rows
from tests.harness.process import Child
from tests.inference.stand_ins import Told


def test_a_table_tells_shares_intervals_and_what_is_configured(run: Run, envoy: Envoy) -> None:
    front = envoy(*[Told(route=":iris_1:")] * 3, Told(route=":iris2_2:"))
    front.experiments = [EXPERIMENT]
    result = run("iris", "-i", "400", "--concurrency", "4", "--inference", front.url, "--admin", front.url)
    assert (result.code, result.err) == (0, "")
    lines = {cells[0]: cells[1:] for cells in rows(result.out)}
    assert lines["iris"][:5] == ["300", "75.0%", "70.5-79.0%", "70.0%", "0"]
    assert lines["iris2"][:5] == ["100", "25.0%", "21.0-29.5%", "30.0%", "0"]
    assert lines["all"][0] == "400"
    assert all(re.fullmatch(r"\d+\.\d", cell) for cell in lines["iris"][5:])
    assert "iris (iris-ab): 400 requests in" in result.out
    assert len(front.got) == 400
    assert front.most_under_way <= 4


def test_on_80_columns_a_name_is_folded_and_no_number_is_cut() -> None:
    tally = Tally()
    for number in range(3000):
        tally.note(Answer("200", True, 0.1, f":{'candidate-' * 6}{number % 2}_1:"))
    console = Console(width=80, file=StringIO())
    console.print(_table(tally.summary(1.0)))
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert "…" not in printed
    assert [line.split()[1:] for line in printed.splitlines() if "1,500" in line] == [
        ["1,500", "50.0%", "48.2-51.8%", "-", "0", "100.0", "100.0", "100.0"]
    ] * 2


def test_machines_get_json(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris_1:"), Told(503, ":iris2_2:"))
    front.experiments = [EXPERIMENT]
    result = run("iris", "-i", "10", "--inference", front.url, "--admin", front.url, "-o", "json")
    assert result.code == 1
    told = json.loads(result.out)
    assert {key: told[key] for key in ("model", "inference", "protocol", "experiment", "requests", "failed")} == {
        "model": "iris",
        "inference": front.url,
        "protocol": "http",
        "experiment": "iris-ab",
        "requests": 10,
        "failed": 5,
    }
    assert told["failures"] == {"503": 5}
    assert [(c["name"], c["requests"], c["configured"], c["failed"]) for c in told["candidates"]] == [
        ("iris", 5, 0.7, 0),
        ("iris2", 5, 0.3, 5),
    ]
    assert told["notes"] == []
    one = run("iris", "--inference", front.url, "-o", "json")
    assert {key: json.loads(one.out)[key] for key in ("code", "ok", "route", "answer")} == {
        "code": "200",
        "ok": True,
        "route": ":iris_1:",
        "answer": {"model_name": "iris", "outputs": []},
    }


def test_headers_of_both_sides_are_shown_without_credentials(run: Run, envoy: Envoy) -> None:
    front = envoy()
    secret = ("--header", "Authorization: Bearer hunter2", "--header", "X-Api-Key: hunter2")
    result = run("iris", "--show-headers", "--header", "X-Team: a", *secret, "--inference", front.url)
    assert front.got[0].headers["authorization"] == "Bearer hunter2"
    lines = result.err.splitlines()
    assert lines[0] == "> POST /v2/models/iris/infer"
    wanted = ["> seldon-model: iris", "> x-team: a", "> authorization: <hidden>", "> x-api-key: <hidden>", "< 200"]
    assert [line for line in lines if line in wanted] == wanted
    assert "< x-seldon-route: :iris_1:" in lines[lines.index("< 200") :]
    several = run("iris", "--show-headers", "-i", "3", *secret, "--inference", front.url)
    assert several.err.count("> POST") == 1
    told = run("iris", "--show-headers", "-o", "json", *secret, "--inference", front.url)
    assert json.loads(told.out)["request_headers"]["authorization"] == "<hidden>"
    assert json.loads(told.out)["response_headers"]["x-seldon-route"] == ":iris_1:"
    for shown in (result, several, told):
        assert "hunter2" not in shown.out + shown.err


def test_nothing_that_a_server_sends_controls_the_terminal(run: Run, envoy: Envoy) -> None:
    for body in (
        b"\x1b[2Jtext\r\n\x07",
        b'{"error": "\\u001b[2J"}',
        '{"error": "\x9b2J \u202e"}'.encode(),
        b'{"error": "\\ud800"}',
        b"[" * 100_000,
    ):
        result = run("iris", "--inference", envoy(Told(500, "", body)).url)
        assert result.code == 1
        assert all(c.isprintable() or c == "\n" for c in result.out + result.err)


def test_an_answer_in_any_language_stays_readable_and_the_same_json(run: Run, envoy: Envoy) -> None:
    answer = {"outputs": [{"data": ["été 夏", "\x9b\u202e\U000e0001"]}]}
    result = run("iris", "--inference", envoy(Told(body=json.dumps(answer).encode())).url)
    assert "été 夏" in result.out
    assert json.loads(result.out) == answer


@pytest.mark.usefixtures("run")
def test_a_terminal_gets_a_progress_bar_and_a_file_none(envoy: Envoy, tmp_path: Path) -> None:
    """The bar is on stderr, here a terminal; stdout has the table alone."""
    front = envoy()
    front.delay = 0.01
    out = tmp_path / "out"
    ours, theirs = pty.openpty()
    child = Child(
        command("iris", "-i", "60", "--inference", front.url),
        stdout=out,
        stderr=Path(os.ttyname(theirs)),
        environment={"TERM": "xterm"},
    )
    try:
        os.close(theirs)
        shown = read_all(ours)
        assert child.ended(within=10) == 0, shown
    finally:
        child.kill()
        os.close(ours)
    assert re.search(r"\d+ requests", shown)
    assert "━" in shown
    assert "\x1b" not in out.read_text()
    assert rows(out.read_text())[0][:2] == ["iris", "60"]


def read_all(descriptor: int) -> str:
    """Everything until the other side is closed, which a terminal tells as an error."""
    data = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:
            break
        if not piece:
            break
        data += piece
    return data.decode()
