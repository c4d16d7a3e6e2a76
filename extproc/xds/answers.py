"""What Envoy answers by itself: JSON that says which thing is missing and what to do about it.

`error` is where the Open Inference Protocol puts the text of a failure. A gRPC client gets the same answer as a gRPC
status, since Envoy translates its own answers.
"""

import json
from typing import Final

from extproc import names
from extproc.core.resources import Experiment
from extproc.names import Protocol
from extproc.xds.encode import Json, typed
from extproc.xds.model_routes import MODELS_PATH

_HEADER: Final = f"%REQ({names.MODEL_HEADER})%"

# `/v2/models/<this>/…`, as the client wrote it; Envoy escapes it for JSON.
SEGMENT: Final = "%CEL(request.url_path.split('/')[3])%"
CEL: Final = {
    "name": "envoy.formatter.cel",
    "typed_config": typed(
        "envoy.extensions.formatter.cel.v3.Cel",
        # `split` is one of the string functions, which have to be asked for.
        cel_config={"enable_string_functions": True, "enable_string_conversion": True},
    ),
}

SEVERAL_MODELS: Final = f"the header {names.MODEL_HEADER} names more than one model: send it once, with one name"
NO_UPGRADE: Final = "no upgrade of the connection, such as WebSocket, is served here: send a plain HTTP request"

_WORD: Final[dict[Protocol, str]] = {"http": "HTTP", "grpc": "gRPC"}
_FIELD: Final[dict[Protocol, str]] = {"http": "endpoints", "grpc": "grpc_endpoints"}


def unknown_in_header() -> Json:
    """404 for a `seldon-model` header that names no endpoint."""
    return _answer("unknown-model", {"prefix": "/"}, 404, _unknown(_HEADER))


def several_in_header() -> Json:
    """400 for more than one `seldon-model` header."""
    return _answer("several-models", {"prefix": "/"}, 400, {"error": SEVERAL_MODELS})


def unknown_in_path() -> Json:
    """404 for a path `/v2/models/<name>…` that names no endpoint."""
    match = {"safe_regex": {"regex": f"{MODELS_PATH}[^/]+(/.*)?"}}
    return _answer("unknown-model", match, 404, _unknown(SEGMENT), CEL)


def no_route() -> Json:
    """A connection manager's `local_reply_config`: what is said where a look-up has ended in a list without a match.

    That is a path whose model's name only begins like an endpoint's. Said once: at the end of every endpoint's list,
    the expression in it took Envoy longer than all its other routes.
    """
    mapper = {
        # https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage: no route matched
        "filter": {"response_flag_filter": {"flags": ["NR"]}},
        "body_format_override": body_format({**_unknown(SEGMENT), "code": 404}, CEL),
    }
    return {"mappers": [{**upgrade(), "body_format_override": body_format({"error": NO_UPGRADE, "code": 403})}, mapper]}


def upgrade() -> Json:
    """The part of a mapper that takes requests for another protocol on the connection, which Envoy answers with 403."""
    # https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/response_code_details
    cel = typed(
        "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        expression="response.code_details == 'upgrade_failed'",
    )
    return {"filter": {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": cel}}}


def nothing_here() -> Json:
    """404 for every other path."""
    text = f"nothing is served at this path: models are called at {MODELS_PATH}<name>/infer"
    return _answer("not-found", {"prefix": "/"}, 404, {"error": text})


def unnamed(match: Json) -> Json:
    """404 for a gRPC call that names no model."""
    text = f"the call names no model: give model_name in its message, or {names.MODEL_HEADER} in its metadata"
    return _answer("unnamed", match, 404, {"error": text})


def wrong_protocol(endpoint: str, protocol: Protocol, match: Json) -> Json:
    """404 for a call over a protocol that nothing behind the endpoint speaks."""
    text = (
        f"'{endpoint}' is not served over {_WORD[protocol]}: no Model behind it has {_FIELD[protocol]}, so call it the"
        " other way or add them"
    )
    return _constant("wrong-protocol", match, 404, {"error": text, "model": endpoint})


def waiting(experiment: str, reasons: list[str], match: Json) -> Json:
    """503 for an experiment that has nobody to answer; `reasons` say what it waits for."""
    text = f"experiment '{experiment}' has no candidate that can answer: waiting for {', '.join(reasons)}"
    return _constant("waiting", match, 503, {"error": text, "experiment": experiment})


def unmatched(experiment: Experiment, match: Json) -> Json:
    """404 for a request that an experiment is not for, and that it has no default for."""
    lacks = f"its default '{experiment.default}' is not defined" if experiment.default else "it has no default"
    text = f"the request does not match experiment '{experiment.name}', and {lacks}"
    return _constant("unmatched", match, 404, {"error": text, "experiment": experiment.name})


def _unknown(name: str) -> Json:
    text = f"model '{name}' is unknown: no Model and no Experiment has this name"
    return {"error": text, "model": name}


def _answer(name: str, match: Json, status: int, body: Json, *formatters: Json) -> Json:
    return _directly(name, match, status, body_format({**body, "code": status}, *formatters))


def _constant(name: str, match: Json, status: int, body: Json) -> Json:
    """An answer in which Envoy fills nothing in, as text: a route with JSON takes it twice as long to take in.

    Every endpoint that lacks a protocol has such a route.
    """
    text = json.dumps({**body, "code": status}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    source = {"inline_string": text.replace("%", "%%") + "\n"}
    return _directly(name, match, status, {"text_format_source": source, "content_type": "application/json"})


def _directly(name: str, match: Json, status: int, said: Json) -> Json:
    return {"name": name, "match": match, "direct_response": {"status": status, "body_format": said}}


def body_format(body: Json, *formatters: Json) -> Json:
    """A SubstitutionFormatString of JSON; command operators in it need their `formatters`."""
    return {
        "json_format": body,
        "content_type": "application/json",
        **({"formatters": list(formatters)} if formatters else {}),
    }
