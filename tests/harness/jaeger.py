"""A real Jaeger (2.x), from the binary in JAEGER_BIN or on PATH, on free ports and with its spans in memory."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.harness.client import fetch
from tests.harness.otlp import Span
from tests.harness.ports import free_port
from tests.harness.process import Child
from tests.harness.waiting import eventually


def jaeger_binary() -> str:
    """The binary's path, "" without one."""
    return os.environ.get("JAEGER_BIN") or shutil.which("jaeger") or ""


class RunningJaeger:
    """One Jaeger that takes OTLP over gRPC on `port` and answers queries."""

    def __init__(self, directory: Path) -> None:
        self.port: Final = free_port()
        self._query: Final = free_port()
        file = directory / "jaeger.json"  # YAML holds JSON
        file.write_text(json.dumps(_config(self.port, self._query, free_port())))
        log = directory / "jaeger.log"
        self._child: Final = Child([jaeger_binary(), "--config", str(file)], stdout=log, stderr=log)

    def __enter__(self) -> Self:
        try:
            eventually(
                lambda: self._get("/api/services"), within=30, saying="Jaeger answers queries", until=lambda _: True
            )
        except AssertionError as late:
            self._child.kill()
            raise AssertionError(f"{late}\n{self._child.tail()}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()

    @property
    def url(self) -> str:
        """Where it shows traces and answers queries."""
        return f"http://127.0.0.1:{self._query}"

    def trace(self, trace: str) -> tuple[Span, ...]:
        """What its query API shows of a trace; nothing while it has not got it."""
        return tuple(span for found in self._get(f"/api/traces/{trace}").get("data") or () for span in _spans(found))

    def _get(self, path: str) -> dict[str, Any]:
        document: dict[str, Any] = fetch(self.url + path).json
        return document


def _spans(trace: dict[str, Any]) -> Iterator[Span]:
    for span in trace["spans"]:
        tags = {tag["key"]: tag["value"] for tag in span["tags"]}
        parents = [other["spanID"] for other in span["references"] if other["refType"] == "CHILD_OF"]
        start = span["startTime"] * 1000  # µs
        yield Span(
            span["traceID"],
            span["spanID"],
            (parents or [""])[0],
            trace["processes"][span["processID"]]["serviceName"],
            span["operationName"],
            str(tags.get("span.kind", "")).upper(),
            start,
            start + span["duration"] * 1000,
            tags,
            {},
        )


def _config(otlp: int, query: int, query_grpc: int) -> dict[str, Any]:
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"spans": {"memory": {"max_traces": 1000}}}},
            "jaeger_query": {
                "storage": {"traces": "spans"},
                "http": {"endpoint": f"127.0.0.1:{query}"},
                "grpc": {"endpoint": f"127.0.0.1:{query_grpc}"},
            },
        },
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "spans"}},
    }
