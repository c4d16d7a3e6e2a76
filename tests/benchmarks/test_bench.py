"""`make bench`, once and briefly: every case starts, is loaded, decides every request, and is reported."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import load
from benchmarks.__main__ import main
from benchmarks.cases import CASES, FLOOR, NATIVE, OURS
from benchmarks.stage import known_flags
from benchmarks.targets import TARGETS

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not load.wrk(), reason=load.MISSING)
def test_everything_is_measured_and_reported(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads((tmp_path / "results.json").read_text())
    known = known_flags()
    usable = [case for case in CASES if case.flags <= known]
    samples = {sample["case"]: sample for sample in document["samples"]}
    assert list(samples) == [case.name for case in usable]
    for case in usable:
        sample = samples[case.name]
        assert sample["failed"] == 0, sample
        assert sample["rate"] > 0 < sample["cpu"]["envoy"], sample
        if case.kind in ("product", "peer"):
            # Envoy may have gone on without an answer, if this machine was too busy to give one in time.
            assert sample["decided"] > 0.5, sample
            # What the server took may be less than a tick of the clock that /proc counts in.
            assert "worker" in sample["cpu"], sample
        else:
            assert sample["decided"] == 0, sample
        assert case.name in done.stdout
    assert [scale["experiments"] for scale in document["sizes"]] == [10]
    assert [target["figure"] for target in document["targets"]] == [target.figure for target in TARGETS]
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    assert "passed" in done.stdout.splitlines()[-1]  # the micro-benchmarks


@pytest.mark.skipif(not load.wrk(), reason=load.MISSING)
def test_the_models_may_be_inside_each_envoy(tmp_path: Path) -> None:
    argv = ["--quick", "--compare", "--models", "inside", "--case", OURS, "--case", FLOOR, "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *argv], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    samples = json.loads((tmp_path / "results.json").read_text())["samples"]
    assert [sample["case"] for sample in samples] == [NATIVE, OURS, FLOOR]
    assert not any(sample["failed"] for sample in samples), samples
    assert all(sample["decided"] > 0.5 for sample in samples[1:]), samples


def test_without_wrk_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "wrk", lambda: "")
    quick = CliRunner().invoke(main, ["--quick", "--compare", "--out", str(tmp_path)])
    assert quick.exit_code == 0, quick.output
    assert f"SKIPPED: comparison, scale: {load.MISSING}" in quick.output
    assert not (tmp_path / "results.json").exists()
    in_earnest = CliRunner().invoke(main, ["--compare", "--out", str(tmp_path)])
    assert in_earnest.exit_code == 1
    assert load.MISSING in in_earnest.output


def test_micro_benchmarks_leave_the_results_of_a_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results.json").write_text("a quarter of an hour's work")
    monkeypatch.setattr("benchmarks.__main__.pytest.main", lambda _argv: 0)
    done = CliRunner().invoke(main, ["--micro", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "results.json").read_text() == "a quarter of an hour's work"


@pytest.mark.skipif(not load.wrk(), reason=load.MISSING)
def test_what_was_compared_is_kept_when_the_sizes_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_plan: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.__main__._scale", interrupted)
    argv = ["--quick", "--compare", "--scale", "--case", NATIVE, "--out", str(tmp_path)]
    assert CliRunner().invoke(main, argv).exit_code == 1
    samples = json.loads((tmp_path / "results.json").read_text())["samples"]
    assert [sample["case"] for sample in samples] == [NATIVE]


@pytest.mark.skipif(not load.wrk(), reason=load.MISSING)
def test_a_peer_that_does_not_start_is_an_error_with_its_log(tmp_path: Path) -> None:
    argv = ["--quick", "--compare", "--case", NATIVE, "--peer", "sh -c 'echo no such model >&2; exit 3'"]
    done = CliRunner().invoke(main, [*argv, "--out", str(tmp_path)])
    assert done.exit_code == 1, done.output
    assert "peer 1 has ended with 3" in done.output
    assert "no such model" in done.output


@pytest.mark.skipif(not load.wrk(), reason=load.MISSING)
def test_a_peer_that_there_is_no_command_for_is_named(tmp_path: Path) -> None:
    argv = ["--quick", "--compare", "--case", NATIVE, "--peer", "no-such-server --port {port}"]
    done = CliRunner().invoke(main, [*argv, "--out", str(tmp_path)])
    assert done.exit_code == 1, done.output
    assert "peer 1: there is no command 'no-such-server'" in done.output


def test_an_unknown_case_is_refused_with_those_there_are(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["--case", "nobody", "--out", str(tmp_path)])
    assert refused.exit_code == 1
    assert f"there are {NATIVE}, " in refused.output
