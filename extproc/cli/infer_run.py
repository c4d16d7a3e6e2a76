"""What `extproc infer` does: one request and its answer, or a load and its table; then the route token is kept."""

import asyncio
import os
import signal
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

import uvloop

from extproc.cli import infer_output as output
from extproc.errors import ExtprocError
from extproc.inference import configured, load
from extproc.inference.advice import explain
from extproc.inference.call import Answer, Ask, Call
from extproc.inference.configured import AdminUnreachable, Configured
from extproc.inference.headers import Headers
from extproc.inference.kept_routes import KeptRoutes, state_folder
from extproc.inference.load import Limits, Sender
from extproc.inference.rest import open_rest
from extproc.inference.tally import Tally
from extproc.wire import inference as wire

# One row of the iris data set, which the demo's models take; any V2 server can read it.
SAMPLE: Final = '{"inputs": [{"name": "row", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}]}'


class RequestFailed(ExtprocError):
    """At least one request was not answered with success; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the flags ask for. `body` is None for a sample; `requests` and `seconds` both None for one request."""

    model: str
    body: str | bytes | None
    headers: Headers
    timeout: float
    inference: str
    admin: str
    requests: int | None
    seconds: float | None
    lanes: int
    grpc: bool
    sticky: bool
    show_headers: bool
    as_json: bool

    @property
    def call(self) -> Call:
        """The request, in the protocol's own bytes. Raises NotAnInferenceRequest."""
        text = SAMPLE if self.body is None else self.body
        try:
            fields = wire.json_body(text)
            body = wire.model_infer_request(fields, self.model) if self.grpc else _bytes(text)
        except wire.NotAnInferenceRequest as error:
            raise wire.NotAnInferenceRequest(f"the body can't be sent: {error}") from error
        return Call(self.inference, self.model, body, self.headers, self.timeout)


def run(order: Order) -> None:
    """Carry it out. Raises ExtprocError, RequestFailed among them."""
    uvloop.run(_run(order))


async def _run(order: Order) -> None:
    call = order.call
    kept = KeptRoutes(state_folder(os.environ)) if order.sticky else None
    route = kept.read(call.url, call.model) if kept else ""
    async with _open(order, call) as ask:
        sender = Sender(ask, sticky=order.sticky, route=route)
        several = order.requests is not None or order.seconds is not None
        complaint = await (_several(order, call, sender) if several else _once(order, call, sender))
    if kept and sender.route != route:
        kept.keep(call.url, call.model, sender.route)
    if complaint:
        raise RequestFailed(complaint)


def _open(order: Order, call: Call) -> AbstractAsyncContextManager[Ask]:
    if not order.grpc:
        return open_rest(call, order.lanes)
    from extproc.inference.grpc_calls import open_grpc  # noqa: PLC0415 (REST shall not wait for grpc's import)

    return open_grpc(call)


async def _once(order: Order, call: Call, sender: Sender) -> str:
    """Send one request and print the answer; returns what is wrong with it, empty when nothing is."""
    answer = await sender.send()
    body = wire.response_json(answer.body) if order.grpc and answer.ok else output.body_value(answer.body)
    if order.as_json:
        output.print_json(output.answer_document(call, answer, body, headers=order.show_headers))
    else:
        if order.show_headers:
            output.print_headers(call, answer, grpc=order.grpc)
        output.print_body(body)
        output.print_route(answer)
    return "" if answer.ok else explain(answer, call, order.admin)


async def _several(order: Order, call: Call, sender: Sender) -> str:
    """Send many and print the table; returns what is wrong with the failed ones, empty when none is."""
    limits = Limits(order.requests, order.seconds, order.lanes)
    tally = Tally()
    first: list[Answer] = []
    before, _ = await _configured(order)
    begun = time.monotonic()
    with output.bar(limits) as show:

        def note(answer: Answer) -> None:
            tally.note(answer)
            if not first:
                first.append(answer)
            show(tally.requests, time.monotonic() - begun, tally.failures.total())

        finished = await _until_done_or_interrupted(load.run(sender, limits, note))
    seconds = time.monotonic() - begun
    if first and not first[0].reached:
        return explain(first[0], call, order.admin)
    if first and order.show_headers and not order.as_json:
        output.print_headers(call, first[0], grpc=order.grpc)
    after, notes = await _configured(order)
    if before and after and before.candidates != after.candidates:
        notes.append(f"{after.experiment} was changed while requests were sent: configured is what it is now")
    if sender.route:
        notes.append("sent with a route token: the split was not drawn")
    if not finished:
        notes.append("stopped before its end")
    summary = tally.summary(seconds, after)
    if order.as_json:
        headers = first[0] if first and order.show_headers else None
        output.print_json(output.summary_document(call, summary, after, notes, grpc=order.grpc, headers=headers))
    else:
        output.print_summary(call, summary, after, notes)
    if not summary.failed:
        return ""
    code, count = next(iter(summary.failures.items()))
    often = f", {count} of them alike" if count < summary.failed else ""
    return (
        f"{summary.failed} of {summary.requests} requests failed{often}:"
        f" {explain(tally.examples[code], call, order.admin)}"
    )
