"""The table of Envoy's schemas says what envoy-data-plane says, and spares those who need no more its import."""

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from extproc.xds import data_plane, schema
from extproc.xds.encode import encode

ROOT: Final = Path(__file__).resolve().parents[2]
TABLE: Final[dict[str, Any]] = json.loads((ROOT / "extproc" / "xds" / "schema.json").read_text())
FILTER: Final = "envoy.extensions.filters.http.rbac.v3"  # none of ours

FRESH: Final = """
import sys
from extproc.xds.snapshot import build
from extproc.xds.world import Options
from tests.xds.worlds import WORLDS
for world in WORLDS.values():
    build(world, Options())
print(sorted({name.partition(".")[0] for name in sys.modules} & {"envoy_data_plane", "betterproto2", "pydantic"}))
"""


@pytest.mark.parametrize("key", TABLE["messages"])
def test_the_table_says_of_a_message_what_envoy_data_plane_says(key: str) -> None:
    """A newer release may know more fields: they are found when the table is made anew."""
    known = data_plane.rows(key)
    assert {name: tuple(row) for name, row in TABLE["messages"][key].items()}.items() <= dict(known).items()


@pytest.mark.parametrize("key", TABLE["enums"])
def test_the_table_says_of_an_enumeration_what_envoy_data_plane_says(key: str) -> None:
    assert TABLE["enums"][key].items() <= dict(data_plane.numbers(key)).items()


def test_every_message_that_extproc_names_is_in_the_table() -> None:
    command = runpy.run_path(str(ROOT / "protos" / "schema.py"))
    named = command["named"]()
    assert len(named) > 40
    missing = {name for name in named if schema.find(name).key not in TABLE["messages"]}
    assert not missing, f"run: {command['COMMAND']}"


def test_what_extproc_writes_needs_no_import_of_envoy_data_plane() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FRESH], check=False, capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_another_message_is_looked_up_by_its_name_in_protobuf() -> None:
    assert schema.find(f"{FILTER}.RBAC") == schema.find(f"{FILTER}.Rbac") == schema.Message(FILTER, "Rbac")
    assert schema.find(f"{FILTER}.Rbac").key not in TABLE["messages"]
    assert {"rules_stat_prefix", "rulesStatPrefix"} <= schema.fields(schema.find(f"{FILTER}.RBAC")).keys()
    action = {"rules": {"action": "DENY", "policies": {}}}
    assert encode(f"{FILTER}.RBAC", action) == b"\x0a\x02\x08\x01"


@pytest.mark.parametrize(
    "name",
    [
        "envoy.no.such.v3.Thing",
        "envoy.config.cluster.v3.NoSuch",
        "envoy.config.Cluster",  # a package that has only others
        "envoy.Cluster",
        "google.Any",
        "message_pool.Any",
        "envoy.config.cluster.v3.ClusterDiscoveryType",  # an enumeration
        "envoy.service.route.v3.RouteDiscoveryServiceBase",  # a service
        "Cluster",
        "",
        "a..B",
    ],
)
def test_what_is_no_message_is_not_found(name: str) -> None:
    with pytest.raises(LookupError):
        schema.find(name)


@pytest.mark.parametrize("key", ["envoy.config.cluster.v3.Cluster", "envoy.config.route.v3.RouteAction"])
def test_both_ways_give_the_same_fields(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from_table = schema.fields.__wrapped__(schema.find(key))
    monkeypatch.setattr(schema, "_table", lambda: {"messages": {}, "enums": {}, "aliases": {}})
    looked_up = schema.fields.__wrapped__(schema.find.__wrapped__(key))
    for name, field in from_table.items():
        known = looked_up[name]
        assert (field.enum or {}).items() <= (known.enum or {}).items()
        assert replace(field, enum=None) == replace(known, enum=None)
