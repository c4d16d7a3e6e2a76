"""Imports go one way, and the hot path stays pure: the table of the design, held against every module's source."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import extproc

PACKAGE = Path(extproc.__file__).parent

# Each part may import from the parts below its own line, and from itself.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("app", "demo"),
    ("processes",),
    ("server",),
    ("telemetry",),
    ("control", "sources", "inference"),
    ("wire", "xds", "http2"),
    ("core",),
    ("settings",),
    ("collector",),
    ("credentials",),
    ("names", "errors", "intervals"),
)
LEVEL = {part: -level for level, parts in enumerate(LAYERS) for part in parts}

NETWORK = frozenset({"asyncio", "grpc", "aiohttp", "socket", "selectors", "ssl", "http", "urllib", "uvloop"})
IMPURE = frozenset(
    {"os", "io", "pathlib", "time", "datetime", "random", "secrets", "threading", "logging", "subprocess"}
)
MESSAGES = frozenset({"google", "envoy_data_plane", "betterproto2"})

# What a part must do without, and why.
WITHOUT = {
    "core": (NETWORK | IMPURE | MESSAGES, "the hot path is pure: randomness, time and configuration are arguments"),
    "wire": (NETWORK, "bytes to values and back, without sockets: only server/ knows the network"),
    "http2": (
        NETWORK | (IMPURE - {"logging"}) | MESSAGES,
        "bytes in, calls and bytes out: only server/ knows the network, and the time is an argument",
    ),
    "xds": (NETWORK, "resources to Envoy configuration, without sockets: only server/ knows the network"),
    "control": (NETWORK, "a pure reducer and one writer: only server/ knows the network"),
    "sources": (NETWORK - {"asyncio"}, "a source waits for changes, and leaves the network to server/"),
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "pb" not in path.relative_to(PACKAGE).parts)


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of everything that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute, so that they can be read and checked"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def part_of(name: str) -> str:
    """The part of the package that a dotted name of ours lies in; "" for the package itself."""
    return next(iter(name.split(".")[1:2]), "")


def wrong_way(path: Path) -> Iterator[str]:
    part = part_of(dotted(path))
    for line, name in imported(path):
        target = part_of(name)
        if name.split(".")[0] != "extproc" or target in {"", "__version__", part}:
            continue
        if part and LEVEL[target] >= LEVEL[part]:
            yield f"{path.relative_to(PACKAGE.parent)}:{line}: {part} imports {name}, but {target} is not below {part}"


def unwanted(path: Path) -> Iterator[str]:
    part = part_of(dotted(path))
    forbidden, reason = WITHOUT.get(part, (frozenset[str](), ""))
    for line, name in imported(path):
        if name.split(".")[0] in forbidden:
            yield f"{path.relative_to(PACKAGE.parent)}:{line}: {part} imports {name}, but {reason}"


def test_every_part_has_its_place() -> None:
    parts = {part_of(dotted(path)) for path in modules()} - {""}
    assert parts <= set(LEVEL), f"say in LAYERS where these stand: {sorted(parts - set(LEVEL))}"


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_imports_go_one_way(path: Path) -> None:
    assert not list(wrong_way(path))


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_each_part_does_without_what_is_not_its_business(path: Path) -> None:
    assert not list(unwanted(path))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("from extproc.wire import ext_proc", "wire is not below core"),
        ("import extproc.server.ads", "server is not below core"),
        ("def f():\n    from extproc import cli", "cli is not below core"),
        ("import random", "the hot path is pure"),
        ("from google.protobuf import message", "the hot path is pure"),
    ],
)
def test_the_check_itself_sees_what_is_wrong(
    source: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "extproc" / "core" / "split.py"
    module.parent.mkdir(parents=True)
    module.write_text(source)
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "extproc")
    assert any(complaint in found for found in (*wrong_way(module), *unwanted(module)))


FRESH = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
import extproc.core
for module in pkgutil.walk_packages(extproc.core.__path__, "extproc.core."):
    importlib.import_module(module.name)
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_core_loads_neither_network_nor_messages() -> None:
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, check=True, timeout=60)
    loaded = json.loads(done.stdout)
    assert {"extproc.core.decide", "extproc.core.table", "extproc.core.resources"} <= set(loaded)
    for unwanted_package in ("grpc", "google.protobuf", "asyncio", "opentelemetry", "envoy_data_plane", "aiohttp"):
        found = [name for name in loaded if f"{name}.".startswith(f"{unwanted_package}.")]
        assert not found, f"importing extproc.core loaded {unwanted_package}"
