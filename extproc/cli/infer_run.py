"""What `extproc infer` does: one request and its answer, or a load and its table; then the route token is kept."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

import uvloop

from extproc.cli import infer_output as screen
from extproc.cli.infer_configured import Configured, ConfiguredUnknownError, configured
from extproc.cli.output import Output, write_document
from extproc.cli.plain import plain
from extproc.errors import ExtprocError
from extproc.inference import load
from extproc.inference.advice import explain
from extproc.inference.call import Answer, Ask, Call
from extproc.inference.headers import Headers
from extproc.inference.kept_routes import KeptRoutes, state_folder
from extproc.inference.load import Limits, Sender
from extproc.inference.rest import open_rest
from extproc.inference.tally import Summary, Tally
from extproc.inference.traces import Traces
from extproc.names import ROUTE_HEADER
from extproc.wire import inference as wire

# One row of the iris data set, which the demo's models take; any V2 server can read it.
SAMPLE: Final = b'{"inputs": [{"name": "row", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}'


class RequestFailedError(ExtprocError):
    """At least one request was not answered with success; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the flags ask for. `body` is None for a sample; without `iterations` and `seconds` it is one request."""

    model: str
    body: bytes | None
    headers: Headers
    timeout: float
    inference: str
    admin: str
    iterations: int | None
    seconds: float | None
    concurrency: int
    grpc: bool
    sticky: bool
    trace: bool
    jaeger_url: str
    show_headers: bool
    output: Output

    @property
    def limits(self) -> Limits | None:
        """When to end; None for one request."""
        if self.iterations is None and self.seconds is None:
            return None
        return Limits(self.iterations, self.seconds, self.concurrency)

    @property
    def call(self) -> Call:
        """The request, in the protocol's own bytes. Raises NotAnInferenceRequestError."""
        body = SAMPLE if self.body is None else self.body
        try:
            fields = wire.json_body(body)
            body = wire.model_infer_request(fields, self.model) if self.grpc else body
        except wire.NotAnInferenceRequestError as error:
            raise wire.NotAnInferenceRequestError(f"the body can't be sent: {error}") from error
        return Call(self.inference, self.model, body, self.headers, self.timeout, self.trace)


def run(order: Order) -> None:
    """Carry it out. Raises ExtprocError, RequestFailedError among them."""
    uvloop.run(_run(order))


async def _run(order: Order) -> None:
    call = order.call
    kept = KeptRoutes(state_folder(os.environ)) if order.sticky else None
    route = kept.read(call.url, call.model) if kept else ""
    async with _open(order, call) as ask:
        sender = Sender(ask, sticky=order.sticky, route=route)
        limits = order.limits
        complaint = await (_several(order, call, sender, limits) if limits else _once(order, call, sender))
    if kept and sender.route != route:
        kept.keep(call.url, call.model, sender.route)
    if complaint:
        raise RequestFailedError(plain(complaint))


def _open(order: Order, call: Call) -> AbstractAsyncContextManager[Ask]:
    if not order.grpc:
        return open_rest(call, order.concurrency)
    from extproc.inference.grpc_calls import open_grpc  # REST shall not wait for this import

    return open_grpc(call)


async def _once(order: Order, call: Call, sender: Sender) -> str:
    """Send one request and print the answer; returns what is wrong with it, empty when nothing is."""
    answer = await sender.send()
    body = wire.response_json(answer.body) if order.grpc and answer.ok else screen.body_value(answer.body)
    if order.output.for_programs:
        document = screen.answer_document(call, answer, body, order.jaeger_url, headers=order.show_headers)
        write_document(document, order.output)
    else:
        if order.show_headers:
            screen.print_headers(call, answer, grpc=order.grpc)
        screen.print_body(body)
        screen.print_route(answer)
        screen.print_trace(answer, order.jaeger_url)
    return "" if answer.ok else explain(answer, call, order.admin)


async def _several(order: Order, call: Call, sender: Sender, limits: Limits) -> str:
    """Send many and print the table; returns what is wrong with the failed ones, empty when none is."""
    tally = Tally()
    traces = Traces(keep_every=order.output.for_programs)
    first: list[Answer] = []
    before, _ = await _configured(call, order.admin)
    begun = time.monotonic()
    with screen.bar(limits) as show:

        def note(answer: Answer) -> None:
            tally.note(answer)
            traces.note(answer)
            if tally.requests == 1:
                first.append(answer)
            show(tally.requests, time.monotonic() - begun, tally.failures.total())

        finished = await _until_done_or_interrupted(load.run(sender, limits, note))
    seconds = time.monotonic() - begun
    if first and not first[0].reached:
        return explain(first[0], call, order.admin)
    if first and order.show_headers and not order.output.for_programs:
        screen.print_headers(call, first[0], grpc=order.grpc)
    after, notes = await _configured(call, order.admin)
    if before and after and before.candidates != after.candidates:
        notes.append(f"{after.experiment} was changed while requests were sent: configured is what it is now")
    if sender.route or any(name == ROUTE_HEADER for name, _ in call.headers):
        notes.append("sent with a route token: the split was not drawn")
    if not finished:
        notes.append("stopped before its end")
    summary = tally.summary(seconds, after.candidates if after else ())
    if order.output.for_programs:
        headers = first[0] if first and order.show_headers else None
        document = screen.summary_document(call, summary, after, notes, grpc=order.grpc, headers=headers)
        if order.trace:
            document["traces"] = screen.trace_documents(traces, order.jaeger_url)
        write_document(document, order.output)
    else:
        screen.print_summary(call, summary, after, notes)
        screen.print_traces(traces, order.jaeger_url)
    return _complaint(summary, tally.examples, call, order.admin)


def _complaint(summary: Summary, examples: Mapping[str, Answer], call: Call, admin: str) -> str:
    """How many failed, and what the most frequent failure means."""
    if not summary.failed:
        return ""
    code, count = next(iter(summary.failures.items()))
    often = f", {count} of them with {code}" if count < summary.failed else ""
    return f"{summary.failed} of {summary.requests} requests failed{often}: {explain(examples[code], call, admin)}"


async def _configured(call: Call, admin: str) -> tuple[Configured | None, list[str]]:
    """The experiment that splits what is called, if it can be known, and what there is to say about it."""
    try:
        found = await asyncio.to_thread(configured, admin, call.model)
    except ConfiguredUnknownError as error:
        return None, [str(error)]
    if found is None:
        return None, [f"no experiment splits {call.model}"]
    state = [] if found.state == "ACTIVE" else [f"{found.experiment} is {found.state}: {found.reason}"]
    return found, [*state, *found.caveats]


async def _until_done_or_interrupted(work: Coroutine[Any, Any, None]) -> bool:
    """Run `work`; Ctrl-C ends it and is no error, because what was measured until then is worth seeing."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await asyncio.wait([task])
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if task.cancelled():
        return False
    task.result()
    return True
