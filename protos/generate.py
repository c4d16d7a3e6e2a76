"""Builds extproc/wire/pb from the .proto files beside this file: `python protos/generate.py`.

`--check` writes nothing and exits 1 when what is there is not what would be built. Needs grpcio-tools, which is in
the `dev` extra.
Must stay true: running it twice changes nothing, and a file whose .proto is gone goes too.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
BUILT = PROTOS.parent / "extproc" / "wire" / "pb"
COMMAND = "python protos/generate.py"

# The generator stamps its own version on each file; a newer one that builds the same is no reason to build again.
_STAMP = re.compile(
    r"^# Protobuf Python Version: .*$|(?<=_runtime_version\.Domain\.PUBLIC,\n)(    \d+,\n){3}", re.MULTILINE
)


def build(into: Path) -> None:
    """Builds every .proto into `into`, a package."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    arguments = [f"--proto_path={PROTOS}", f"--python_out={into}", f"--pyi_out={into}", *sources]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)
    for folder in (into, *(path for path in into.rglob("*") if path.is_dir())):
        (folder / "__init__.py").touch()


def files(folder: Path) -> dict[str, str]:
    """The text of every built file in `folder`, by its path there."""
    found = (path for path in folder.rglob("*.py*") if path.suffix in (".py", ".pyi"))
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in found}


def differences(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """The files that are in one of the two only, or say something else there."""

    def said(built: dict[str, str], name: str) -> str | None:
        return _STAMP.sub("", built[name]) if name in built else None

    return sorted(name for name in old.keys() | new.keys() if said(old, name) != said(new, name))


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Build extproc/wire/pb from protos/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a built file is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as scratch:
        build(Path(scratch))
        new = files(Path(scratch))
    stale = differences(files(BUILT), new)
    for name in stale:
        print(f"{'stale' if check else 'built'}: {BUILT.relative_to(PROTOS.parent) / name}")
        if check:
            continue
        target = BUILT / name
        if name in new:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(new[name], encoding="utf-8")
        else:
            target.unlink()
    if check and stale:
        print(f"run: {COMMAND}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
