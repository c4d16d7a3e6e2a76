"""Writes extproc/xds/schema.json, the schemas of the messages that Envoy gets from extproc: `python protos/schema.py`.

They are taken from envoy-data-plane. `--check` writes nothing and exits 1 when the file is not what would be written.
Which messages extproc writes is what its sources name; with each come all that its fields hold. Must stay true: running
it twice changes nothing.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from extproc.xds import data_plane

PACKAGE = Path(__file__).resolve().parents[1] / "extproc"
BUILT = PACKAGE / "xds" / "schema.json"
BUILT_CODE = PACKAGE / "wire" / "pb"
COMMAND = "python protos/schema.py"

_TYPE_NAME = re.compile(r"(envoy|google|opentelemetry|xds)\.[a-z0-9_.]+\.[A-Z]\w*")


def named() -> list[str]:
    """The messages that extproc's sources name."""
    sources = (path for path in PACKAGE.rglob("*.py") if BUILT_CODE not in path.parents)
    trees = (ast.parse(source.read_text(encoding="utf-8")) for source in sources)
    texts = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return sorted(text for text in texts if isinstance(text, str) and _TYPE_NAME.fullmatch(text))


def table(roots: Iterable[str]) -> dict[str, Any]:
    """The schemas of these messages and of all that stand in them."""
    messages: dict[str, Any] = {}
    enums: dict[str, Any] = {}
    waiting = [data_plane.find(root) for root in roots]
    while waiting:
        key = waiting.pop()
        if key in messages:
            continue
        messages[key] = data_plane.rows(key)
        for _, kind, of, *_ in messages[key].values():
            if kind == "message":
                waiting.append(of)
            elif kind == "enum":
                enums[of] = data_plane.numbers(of)
    packages = {key.rpartition(".")[0] for key in messages}
    names = {name: key for package in packages for name, key in data_plane.protobuf_names(package).items()}
    aliases = {name: key for name, key in names.items() if key in messages and name != key}
    return {"messages": messages, "enums": enums, "aliases": aliases}


def written(schemas: dict[str, Any]) -> str:
    """As JSON, with a line for each message."""
    parts = [
        f'"{part}": {{\n' + ",\n".join(f"{json.dumps(key)}: {json.dumps(of[key])}" for key in sorted(of)) + "\n}"
        for part, of in schemas.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Write extproc/xds/schema.json from envoy-data-plane.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is stale")
    check = parser.parse_args().check
    new = written(table(named()))
    if BUILT.exists() and BUILT.read_text(encoding="utf-8") == new:
        return 0
    print(f"{'stale' if check else 'written'}: {BUILT.relative_to(PACKAGE.parent)}")
    if check:
        print(f"run: {COMMAND}", file=sys.stderr)
        return 1
    BUILT.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
