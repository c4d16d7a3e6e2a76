"""Every command in README.md is run, in order, and what it prints has the shape of what the page shows.

A section (`## …`) is a shell of its own in a folder of its own, with free ports instead of the page's. Shape: numbers,
model names, blanks and lines of tables may differ; `...` stands for anything.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from extproc.cli import COMMANDS, command
from tests.harness.ports import free_port
from tests.harness.process import Child, EndedEarlyError
from tests.harness.waiting import eventually
from tests.test_packaging import ROOT

pytestmark = pytest.mark.timeout(400)

README: Final = (ROOT / "README.md").read_text()
PORTS: Final = {
    "9000": "--inference-port",
    "9901": "--envoy-admin-port",
    "8080": "--admin-port",
    "50051": "--grpc-port",
}
PROGRAMS: Final = {"extproc", "curl", "sed", "envoy"}

# Commands that are run elsewhere, and by whom.
ELSEWHERE: Final = {
    "make demo": "tests/demo/test_demo.py",
    "make test": ".ci/run",
    "kubectl apply -f envoy/sidecar.yaml": "tests/test_sidecar.py",
    "docker compose up --build": "tests/test_compose.py",
}
EXPERIMENT: Final = {
    "@type": "type.googleapis.com/extproc.v1.Experiment",
    "name": "iris-ab",
    "default": "iris",
    "candidates": [{"name": "iris", "weight": 1}],
}
HERE: Final = ". .venv/bin/activate"  # the tests' own environment is active
KEEP: Final = "make demo KEEP=1"


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the page and the lines that stand below it."""

    command: str
    shown: tuple[str, ...]


def steps(section: str) -> Iterator[Step]:
    """The commands of a section's console blocks, in order."""
    for block in re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
        assert block.startswith("$ "), f"a console block begins with a command: {block!r}"
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.rstrip("\n").split("\n")
            yield Step(command, tuple(shown))


SECTIONS: Final = {
    text.partition("\n")[0]: list(steps(text)) for text in re.split(r"^## ", README, flags=re.MULTILINE)[1:]
}


def shape(text: str) -> str:
    """What two runs of a command have in common."""
    text = re.sub(r"\biris(-v)?\d*", "iris", text)
    text = re.sub(r"\d[\d,]*", "0", text)
    text = re.sub(r"[━─┏┳┓┡╇┩└┴┘├┼┤┃│█░–]+", " ", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines() if line.strip())


def pattern(shown: Sequence[str]) -> re.Pattern[str]:
    """What a command must print, as an expression over its shape; the order of headers is Envoy's own."""
    pieces = (re.escape(shape(line)) for line in "\n".join(shown).split("..."))
    return re.compile("[\\s\\S]*?".join(pieces) + r"\s*")


class Shell:
    """A user's shell: `run` takes the page's own commands, with other ports."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self._ports = {port: str(free_port()) for port in PORTS}
        self._children = 0
        self._output = folder / "nothing"
        home = folder / "home"
        home.mkdir(parents=True)
        (folder / "envoy").symlink_to(ROOT / "envoy")
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("EXTPROC_")},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "XDG_STATE_HOME": str(home),
            "XDG_CACHE_HOME": str(home),
            "COLUMNS": "120",
            **{f"EXTPROC_{flag[2:].replace('-', '_').upper()}": self._ports[port] for port, flag in PORTS.items()},
            "EXTPROC_WORKER_PORT": str(free_port()),
            "EXTPROC_ADMIN": f"http://127.0.0.1:{self._ports['8080']}",
            "EXTPROC_INFERENCE": f"http://127.0.0.1:{self._ports['9000']}",
        }

    def run(self, step: Step) -> None:
        """Run it, and hold what it prints against the page."""
        if step.command == HERE or step.command in ELSEWHERE:
            return
        if step.command == KEEP:
            flags = [word for port, flag in PORTS.items() for word in (flag, self._ports[port])]
            self._background(step, [sys.executable, "-m", "extproc", "demo", "--keep", "--requests", "100", *flags])
            (plain,) = (each for found in SECTIONS.values() for each in found if each.command == "make demo")
            *told, end = plain.shown
            assert end == "Stopping everything"
            assert pattern([*told, "..."]).fullmatch(shape(self._output.read_text())), (
                "`make demo` prints something else"
            )
            return
        assert step.command.split()[0] in PROGRAMS, f"say in this file how to run: {step.command}"
        if step.command.endswith(" &"):
            words = self._moved(step.command.removesuffix(" &")).split()
            self._background(step, [shutil.which(words[0], path=self._environment["PATH"]) or words[0], *words[1:]])
            return
        expected = pattern(step.shown)

        def printed() -> str:
            done = subprocess.run(
                ["bash", "-c", self._moved(step.command)], cwd=self.folder, env=self._environment, text=True,
                capture_output=True, check=False, timeout=100,
            )  # fmt: skip
            return shape(done.stdout + done.stderr)

        if step.shown:
            eventually(printed, within=30, saying=f"$ {step.command}\n{expected.pattern}", until=expected.fullmatch)
        else:
            assert printed() == "", step.command

    def _background(self, step: Step, argv: Sequence[str]) -> None:
        self._children += 1
        self._output = out = self.folder / f"{self._children}.stdout"
        err = self.folder / f"{self._children}.stderr"
        child = Child(argv, stdout=out, stderr=err, environment=self._environment, directory=self.folder)
        self._stack.callback(_end, child)
        expected = pattern(step.shown)

        def printed() -> str:
            if child.exit_code is not None:
                raise EndedEarlyError(f"{step.command} ended with {child.exit_code}\n{child.tail()}")
            return shape(out.read_text())

        if step.shown:
            said = f"$ {step.command}\n{expected.pattern}"
            eventually(printed, within=200, saying=said, until=expected.fullmatch, not_yet=())

    def _moved(self, command: str) -> str:
        """The command, on this shell's ports."""
        return re.sub(r"\blocalhost:(\d+)", lambda found: f"127.0.0.1:{self._ports[found[1]]}", command)


def _end(child: Child) -> None:
    """As a user does, with Ctrl-C: what the child started has to go as well."""
    try:
        if child.exit_code is None:
            child.signal(signal.SIGINT)
        code = child.ended(within=60)
        assert code in (0, -signal.SIGINT), f"{child.argv} ended with {code} after Ctrl-C\n{child.tail()}"
    finally:
        child.kill()


@pytest.mark.parametrize("section", [name for name, found in SECTIONS.items() if found])
def test_its_commands_do_what_the_page_shows(section: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        shell = Shell(tmp_path, stack)
        for step in SECTIONS[section]:
            shell.run(step)


def test_what_is_run_elsewhere_is_run_there() -> None:
    commands = {step.command for found in SECTIONS.values() for step in found}
    assert set(ELSEWHERE) <= commands, "no longer on the page"
    assert [test for test in ELSEWHERE.values() if not (ROOT / test).exists()] == []


def test_every_command_block_is_one_that_is_run() -> None:
    languages = re.findall(r"^```(\S*)\n", README, re.MULTILINE)
    assert set(languages) <= {"console", "json", ""}, "a block of another kind would not be run"
    for block in re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        assert "$ " not in block


def test_every_resource_is_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert blocks
    for number, block in enumerate(blocks):
        # What is not whole is part of an experiment.
        shown = json.loads(block) if block.startswith("{") else {**EXPERIMENT, **json.loads("{" + block + "}")}
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps({"resources": [shown]}))
        result = CliRunner().invoke(command, ["validate", str(file)])
        assert result.exit_code == 0, result.output


def test_the_tables_name_every_command_and_no_other() -> None:
    table = README.partition("### Commands")[2].partition("###")[0]
    assert set(re.findall(r"^\| `extproc ([a-z]+)", table, re.MULTILINE)) == set(COMMANDS)


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
