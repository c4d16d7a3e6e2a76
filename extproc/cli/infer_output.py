"""What `extproc infer` prints: answers, headers, the table, and the same as JSON.

Results go to stdout, all else to stderr, so that a pipe gets results alone. Nothing that a server sent reaches the
terminal with control characters in it, and no credentials are printed at all.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from extproc.cli.infer_configured import Configured
from extproc.cli.output import Output, write_line, write_table
from extproc.cli.plain import plain
from extproc.inference.call import Answer, Call
from extproc.inference.headers import Headers, without_secrets
from extproc.inference.load import Limits
from extproc.inference.tally import Latency, Line, Summary
from extproc.inference.traces import Traces
from extproc.names import ROUTE_HEADER
from extproc.wire.inference import MODEL_INFER

NONE: Final = "-"

Show = Callable[[int, float, int], None]
"""Requests done, seconds passed, requests failed."""


def body_value(body: bytes) -> Any:
    """The JSON in a body; its text where it holds none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="backslashreplace")


def print_body(body: Any) -> None:
    """The answer's body: JSON for people, any other text as it is."""
    if not isinstance(body, str):
        write_line(_printable(json.dumps(body, indent=2, ensure_ascii=False)))
    elif body:
        write_line("\n".join(map(plain, body.splitlines())))


def _printable(text: str) -> str:
    """JSON's text, readable in any language; what json.dumps leaves unescaped that is not printable is escaped."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def print_route(answer: Answer) -> None:
    """Who answered, to stderr."""
    if answer.route:
        click.echo(f"{ROUTE_HEADER}: {plain(answer.route)}", err=True)


def print_trace(answer: Answer, jaeger: str) -> None:
    """Where the request's trace is to be seen, to stderr; nothing without one."""
    if answer.trace and answer.reached:
        click.echo(f"trace: {answer.trace} {_trace_url(answer.trace, jaeger)}", err=True)


def print_traces(traces: Traces, jaeger: str) -> None:
    """Those that are worth a look, below the table. A line each, whatever its length: a folded URL can't be opened."""
    for route, traced in sorted(traces.slowest.items()):
        who = plain(route) or "the answers without a token"
        write_line(f"slowest of {who}, {traced.seconds * 1000:,.1f} ms: {_trace_url(traced.trace, jaeger)}")
    for code, traced in traces.failed.items():
        write_line(f"first with {code}: {_trace_url(traced.trace, jaeger)}")


def trace_documents(traces: Traces, jaeger: str) -> list[dict[str, Any]]:
    """All of them for machines, in the order of their answers."""
    return [
        {**_trace_document(t.trace, jaeger), "route": t.route, "code": t.code, "ms": round(t.seconds * 1000, 2)}
        for t in traces.every
    ]


def _trace_document(trace: str, jaeger: str) -> dict[str, Any]:
    return {"id": trace, "url": _trace_url(trace, jaeger)}


def _trace_url(trace: str, jaeger: str) -> str:
    return f"{jaeger}/trace/{trace}"


def print_headers(call: Call, answer: Answer, *, grpc: bool) -> None:
    """Both sides' headers, to stderr, in curl's notation."""
    method = MODEL_INFER if grpc else f"POST /v2/models/{call.model}/infer"
    for mark, start, headers in ((">", method, answer.sent), ("<", answer.code, answer.received)):
        click.echo(f"{mark} {start}", err=True)
        for name, value in without_secrets(headers):
            click.echo(f"{mark} {plain(name)}: {plain(value)}", err=True)


@contextmanager
def bar(limits: Limits) -> Iterator[Show]:
    """A progress bar on stderr, if that is a terminal: of requests, or of seconds where no number is given."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=limits.requests or limits.seconds)

        def show(requests: int, seconds: float, failed: int) -> None:
            told = f"{requests:,} requests" + (f", [red]{failed:,} failed" if failed else "")
            progress.update(task, completed=requests if limits.requests else seconds, description=told)

        yield show


def print_summary(call: Call, summary: Summary, experiment: Configured | None, notes: Sequence[str]) -> None:
    """The table, the failures and the notes."""
    parts: list[RenderableType] = [Text(_title(call, summary, experiment))]
    if summary.candidates:
        parts.append(_table(summary))
    if summary.failures:
        counts = ", ".join(f"{count:,} with {code}" for code, count in summary.failures.items())
        parts.append(Text(f"failed: {counts}", style="red"))
    # Wide: a table that a pipe gets has each candidate on one line.
    write_table(Group(*parts, *(Text(plain(note)) for note in notes)), Output.WIDE)


def _title(call: Call, summary: Summary, experiment: Configured | None) -> str:
    rate = summary.requests / summary.seconds if summary.seconds else 0.0
    split = f" ({experiment.experiment})" if experiment else ""
    return f"{call.model}{split}: {summary.requests:,} requests in {summary.seconds:.1f} s, {rate:,.0f}/s"


def _table(summary: Summary) -> Table:
    """On 80 columns a candidate's name is folded before a number is cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("CANDIDATE", overflow="fold", min_width=len("CANDIDATE"))
    for column in ("ANSWERS", "SHARE", "95% INTERVAL", "CONFIGURED", "FAILED", "P50 MS", "P90 MS", "P99 MS"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in summary.candidates:
        table.add_row(*_cells(line))
    if len(summary.candidates) > 1:
        answers = sum(line.requests for line in summary.candidates)
        table.add_row("all", f"{answers:,}", "", "", "", f"{summary.failed:,}", *_latency(summary.latency), style="dim")
    return table


def _cells(line: Line) -> Iterator[str | Text]:
    low, high = line.interval
    yield Text(plain(line.name or line.route) or "(no token)")
    yield f"{line.requests:,}"
    yield f"{line.share:.1%}"
    yield f"{100 * low:.1f}-{high:.1%}"
    yield _configured(line)
    yield f"{line.failed:,}"
    yield from _latency(line.latency)


def _configured(line: Line) -> Text:
    """In green or yellow: whether the interval holds it; one right split in twenty is yellow by chance."""
    if line.configured is None:
        return Text(NONE)
    low, high = line.interval
    return Text(f"{line.configured:.1%}", style="green" if low <= line.configured <= high else "yellow")


def _latency(latency: Latency) -> Iterator[str]:
    for value in (latency.p50_ms, latency.p90_ms, latency.p99_ms):
        yield NONE if value is None else f"{value:,.1f}"


def answer_document(call: Call, answer: Answer, body: Any, jaeger: str, *, headers: bool) -> dict[str, Any]:
    """One request for machines; `detail` says why it failed where the answer itself does not."""
    return {
        "model": call.model,
        "code": answer.code,
        "ok": answer.ok,
        "route": answer.route,
        "ms": round(answer.seconds * 1000, 2),
        **({"detail": answer.detail} if answer.detail else {}),
        **({"trace": _trace_document(answer.trace, jaeger)} if answer.trace and answer.reached else {}),
        **(_headers_document(answer) if headers else {}),
        "answer": body if answer.body else None,
    }


def summary_document(
    call: Call,
    summary: Summary,
    experiment: Configured | None,
    notes: Sequence[str],
    *,
    grpc: bool,
    headers: Answer | None,
) -> dict[str, Any]:
    """A run for machines; `headers` is the answer whose headers are to be in it."""
    return {
        "model": call.model,
        "inference": call.url,
        "protocol": "grpc" if grpc else "http",
        "experiment": experiment.experiment if experiment else None,
        **summary.as_json(),
        "notes": list(notes),
        **(_headers_document(headers) if headers else {}),
    }


def _headers_document(answer: Answer) -> dict[str, dict[str, str]]:
    return {"request_headers": _joined(answer.sent), "response_headers": _joined(answer.received)}


def _joined(headers: Headers) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in without_secrets(headers):
        key = name.lower()
        joined[key] = f"{joined[key]},{value}" if key in joined else value
    return joined
