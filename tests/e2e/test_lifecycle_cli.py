"""An experiment's life on the command line, with the real extproc and Envoy: start, change, watch, stop and undo."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

import pytest

from extproc.cli import main
from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment, model
from tests.harness.waiting import eventually

IRIS, IRIS2, IRIS3 = ":iris_1:", ":iris2_2:", ":iris3_1:"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


class Terminal:
    """Runs `extproc experiment …` as a user of this stage would, without a terminal and 80 columns wide.

    In this process, because an interpreter takes longer to start than a command to run; `beside` starts one.
    """

    def __init__(self, stage: Stage, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
            patch.delenv(name, raising=False)
        patch.setenv("EXTPROC_ADMIN", stage.extproc.admin_url)

    def __call__(self, *words: str, stdin: object = None) -> Ran:
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with self._patch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8"))
            with pytest.raises(SystemExit) as ended:
                main("experiment", *words)
        out.seek(0)
        err.seek(0)
        return Ran(int(ended.value.code or 0), out.read(), err.read())


class Beside:
    """A command that runs while the test goes on; the lines of its stderr come in as it writes them."""

    def __init__(self, *words: str) -> None:
        self.told: list[str] = []
        argv = [sys.executable, "-m", "extproc", "experiment", *words]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.told.append(line.rstrip("\n").partition(" ")[2])  # without the time

    def says(self, words: str) -> None:
        eventually(lambda: list(self.told), within=15, saying=f"it says {words!r}", until=lambda t: words in "".join(t))

    def ended(self, within: float = 20) -> Ran:
        assert self._process.stdout
        code = self._process.wait(within)
        self._reader.join(within)
        return Ran(code, self._process.stdout.read(), "\n".join(self.told))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(experiment("filed", {"iris3": 1}, default="iris3"))
    stage.start("up")
    stage.wait_state("filed")
    return stage


@pytest.fixture
def running(request: pytest.FixtureRequest, shared: Stage) -> Iterator[Stage]:
    """A file owns `filed`, on iris3; what the API runs is stopped afterwards, and the file is as it was."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    yield shared
    for document in shared.extproc.admin("/api/v1/experiments").json["experiments"]:
        if document["source"] == "api" and document["state"] != "STOPPED":
            shared.stop(document["name"])
    shared.write(experiment("filed", {"iris3": 1}, default="iris3"))


@pytest.fixture
def terminal(running: Stage, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(running, monkeypatch)


@pytest.fixture
def beside(terminal: Terminal) -> Iterator[Callable[..., Beside]]:
    """Starts commands that run while the test goes on, in the environment of `terminal`."""
    started: list[Beside] = []

    def start(*words: str) -> Beside:
        started.append(Beside(*words))
        return started[-1]

    yield start
    for one in started:
        one.close()


def ab(iris: int, iris2: int, name: str = "ab", **fields: Any) -> dict[str, Any]:
    return experiment(name, {"iris": iris, "iris2": iris2}, **{"default": "iris", **fields})


def test_start_change_stop_and_undo(running: Stage, terminal: Terminal) -> None:
    started = terminal("start", "-f", "-", "--why", "is iris2 better?", "--caller", "ada", stdin=ab(1, 0, "life"))
    assert (started.code, started.err) == (0, "")
    assert started.out == "life: started (revision 1)\n  ACTIVE: all candidates ready\n"
    assert running.routes() == {IRIS}

    # What `get` prints is edited and given back.
    spec = json.loads(terminal("get", "life").out)
    spec["candidates"] = [{"name": "iris", "weight": 0}, {"name": "iris2", "weight": 1}]
    assert terminal("start", "-f", "-", stdin=spec).out.startswith("life: updated (revision 2)\n")
    assert running.routes() == {IRIS2}
    assert terminal("start", "-f", "-", stdin=spec).out.startswith("life: unchanged: already runs at revision 2\n")
    as_yaml = terminal("get", "life", "-o", "yaml").out
    assert terminal("start", "-f", "-", stdin=as_yaml).out.startswith("life: unchanged: already runs at revision 2\n")

    assert terminal("stop", "life", "--why", "it is").out.startswith(
        "life: stopped (revision 3)\n  STOPPED: stopped by"
    )
    assert running.routes() == {IRIS}
    assert terminal("stop", "life").out.startswith("life: unchanged: stopped already, at revision 3\n")

    back = terminal("rollback", "life", "2", "--why", "it was fine")
    assert back.out.startswith("life: rolled back to revision 2 (revision 4)\n")
    assert running.routes() == {IRIS2}

    lines = terminal("history", "life", "-o", "wide").out.splitlines()
    assert [line.split()[0] for line in lines] == ["REV", "1", "2", "3", "4"]
    assert all(word in lines[1] for word in ("ada", "started", "iris 1, iris2 0, default iris", "is iris2 better?"))
    assert all(word in lines[2] for word in ("updated", "iris 1→0, iris2 0→1"))
    assert all(word in lines[4] for word in ("rolled_back", "it was fine"))


def test_a_seldon_manifest_is_started_as_it_is(running: Stage, terminal: Terminal) -> None:
    manifest = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata:
  name: seldon
spec:
  default: iris
  candidates:
  - name: iris
    weight: 0
  - name: iris2
    weight: 50
"""
    assert terminal("start", "-f", "-", stdin=manifest).code == 0
    assert running.routes() == {IRIS2}


def test_list_and_status_show_every_source(running: Stage, terminal: Terminal) -> None:
    terminal("start", "-f", "-", stdin=ab(70, 30, mirror={"name": "iris3", "percent": 10}))
    listed = terminal("list").out.splitlines()
    assert listed[0].split() == ["NAME", "STATE", "SPLIT", "SOURCE"]
    assert any(line.split()[:2] == ["ab", "ACTIVE"] and "iris ███████ 70 %, iris2 ███ 30 %" in line for line in listed)
    assert any(line.split()[:2] == ["filed", "ACTIVE"] for line in listed)
    assert str(running.file) in terminal("list", "-o", "wide").out
    assert max(map(len, listed)) <= 80

    shown = terminal("status", "ab").out
    assert "state       ACTIVE: all candidates ready" in shown
    assert "conditions  accepted by Envoy, candidates ready, mirror ready" in shown
    assert ":iris2_2:" in shown
    assert "iris3 (mirror)" in shown
    assert "\x1b" not in shown


def test_programs_get_what_rest_says(running: Stage, terminal: Terminal) -> None:
    terminal("start", "-f", "-", stdin=ab(70, 30))
    assert json.loads(terminal("status", "ab", "-o", "json").out) == running.status("ab")
    assert json.loads(terminal("list", "-o", "json").out) == running.extproc.admin("/api/v1/experiments").json
    assert (
        json.loads(terminal("history", "ab", "-o", "json").out)
        == running.extproc.admin("/api/v1/experiments/ab/history").json
    )


def test_status_waits_for_a_model_that_comes_later(
    running: Stage, terminal: Terminal, beside: Callable[..., Beside]
) -> None:
    late = experiment("late", {"iris": 1, "later": 1}, default="iris")
    started = terminal("start", "-f", "-", stdin=late)
    assert (started.code, started.err) == (0, "")
    assert "DEGRADED: running without later (no Model defines later)" in started.out

    gone = terminal("status", "late", "-w", "--timeout", "0.5")
    assert (gone.code, gone.out) == (1, "")
    assert "extproc: late is not ACTIVE after 0.5 s: DEGRADED: running without later" in gone.err

    waiting = beside("status", "late", "-w", "-o", "json")
    waiting.says("no Model defines later")
    server = running.serve_model("later")
    running.write(
        experiment("filed", {"iris3": 1}, default="iris3"), models=[*running.models, model("later", server.endpoint)]
    )
    ran = waiting.ended()
    assert ran.code == 0, ran
    assert json.loads(ran.out)["state"] == "ACTIVE"


def test_status_waits_for_a_restart_of_extproc(
    running: Stage, terminal: Terminal, beside: Callable[..., Beside]
) -> None:
    terminal("start", "-f", "-", stdin=ab(1, 1))
    waiting = beside("status", "ab", "--for", "stopped", "--timeout", "60")
    waiting.says("ACTIVE: all candidates ready")
    running.extproc.kill()
    waiting.says("extproc does not answer: connection refused")
    running.extproc.restart()
    running.extproc.wait_ready()
    assert terminal("stop", "ab").code == 0
    ran = waiting.ended()
    assert ran.code == 0, ran
    assert "STOPPED: stopped by" in ran.out


def test_what_a_file_owns_is_changed_in_the_file(running: Stage, terminal: Terminal) -> None:
    for words, stdin in ((("stop", "filed"), None), (("start", "-f", "-"), ab(1, 1, "filed"))):
        ran = terminal(*words, stdin=stdin)
        assert ran.code == 1
        assert f"managed by the file {running.file}" in ran.err
        assert "Nothing was changed." in ran.err
    assert running.routes("iris3") == {IRIS3}


def test_a_default_that_is_taken_names_its_owner(terminal: Terminal) -> None:
    assert terminal("start", "-f", "-", stdin=ab(1, 1)).code == 0
    ran = terminal("start", "-f", "-", stdin=ab(1, 1, "second"))
    assert ran.code == 1
    assert "default: 'iris' is the default of experiment ab already" in ran.err


def test_reject_names_those_that_are_not_ready(terminal: Terminal) -> None:
    candidates = {"iris": 1, "nowhere": 1}
    ran = terminal("start", "-f", "-", stdin=experiment("strict", candidates, when_unavailable="REJECT"))
    assert ran.code == 1
    assert "not ready: nowhere" in ran.err


def test_another_revision_than_the_one_that_was_seen(terminal: Terminal) -> None:
    revision = json.loads(terminal("start", "-f", "-", "-o", "json", stdin=ab(1, 1)).out)["revision"]
    assert terminal("start", "-f", "-", "--if-match", str(revision), stdin=ab(2, 1)).code == 0
    ran = terminal("start", "-f", "-", "--if-match", str(revision), stdin=ab(3, 1))
    assert ran.code == 1
    assert f"is at revision {revision + 1}, not {revision}" in ran.err
    assert "`extproc experiment history ab` shows what was changed since" in ran.err


@pytest.mark.parametrize(
    "words", [("stop", "file"), ("status", "file"), ("get", "file"), ("history", "file"), ("rollback", "file", "1")]
)
def test_an_unknown_name_gets_the_closest(words: tuple[str, ...], terminal: Terminal) -> None:
    ran = terminal(*words)
    assert (ran.code, ran.out) == (1, "")
    assert "no experiment is called 'file': did you mean filed?" in ran.err


def test_what_was_refused_before_it_was_sent_changed_nothing(running: Stage, terminal: Terminal) -> None:
    terminal("start", "-f", "-", stdin=ab(1, 0))
    ran = terminal("start", "-f", "-", stdin=ab(0, -1))
    assert ran.code == 1
    assert "Experiment ab: candidates[1].weight: must be a whole number" in ran.err
    assert running.routes() == {IRIS}


def test_names_are_completed_from_the_running_extproc(running: Stage) -> None:
    line = "extproc experiment status fi"
    done = subprocess.run(
        [sys.executable, "-m", "extproc"],
        env={
            **os.environ,
            "EXTPROC_ADMIN": running.extproc.admin_url,
            "_EXTPROC_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": "3",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("plain,filed\n", "")
