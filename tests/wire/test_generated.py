"""The generated code is what protos/generate.py builds from the .proto files that are checked in."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "protos" / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the command reads and writes."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos")
    built = Path("extproc", "wire", "pb")
    shutil.copytree(ROOT / built, tmp_path / built, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_generated_code_is_fresh() -> None:
    check = generate(ROOT, "--check")
    assert check.returncode == 0, f"{check.stdout}{check.stderr}"


def test_a_changed_schema_is_noticed_and_building_mends_it(copy: Path) -> None:
    schema = copy / "protos" / "extproc" / "v1" / "resources.proto"
    schema.write_text(schema.read_text() + "\nmessage Another { string name = 1; }\n")
    module = copy / "extproc" / "wire" / "pb" / "extproc" / "v1" / "resources_pb2.py"
    before = module.read_text()

    check = generate(copy, "--check")
    assert check.returncode == 1
    assert "stale: extproc/wire/pb/extproc/v1/resources_pb2.py" in check.stdout
    assert "run: python protos/generate.py" in check.stderr
    assert module.read_text() == before

    assert generate(copy).returncode == 0
    assert "_ANOTHER" in module.read_text()
    assert generate(copy, "--check").returncode == 0
    assert generate(copy).stdout == ""


def test_code_without_a_schema_goes(copy: Path) -> None:
    (copy / "protos" / "extproc" / "slim" / "discovery.proto").unlink()
    left = copy / "extproc" / "wire" / "pb" / "extproc" / "slim" / "discovery_pb2.py"
    assert generate(copy, "--check").returncode == 1
    assert left.exists()
    assert generate(copy).returncode == 0
    assert not left.exists()


def test_the_generators_version_alone_makes_nothing_stale(copy: Path) -> None:
    module = copy / "extproc" / "wire" / "pb" / "extproc" / "v1" / "resources_pb2.py"
    text = module.read_text()
    older = text.replace("# Protobuf Python Version: 6.31.1", "# Protobuf Python Version: 6.31.0")
    older = older.replace("    6,\n    31,\n    1,\n", "    6,\n    31,\n    0,\n")
    assert older != text
    module.write_text(older)
    assert generate(copy, "--check").returncode == 0
