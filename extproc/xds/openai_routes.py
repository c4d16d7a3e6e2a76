"""The routes under `/v1/`: the list of models, and what a request meets whose model is still to be read from its body.

Such a request is matched twice. First here, where the filters of `json_bodies` are switched on and the body is waited
for; then by what was read, where it is routed as if a header had named the model. Must stay true: without any model of
this API there is no route here, and everything under `/v1/` is the user's.
"""

from collections.abc import Collection
from typing import Final

from extproc import names
from extproc.xds import json_bodies, openai_answers
from extproc.xds.encode import Encoded, Json
from extproc.xds.lua_filters import switched_on
from extproc.xds.matching import ending

# The paths that are this API's before any route of the user's own. What else is under `/v1/` is so after them.
_KNOWN: Final = "/v1/(chat/completions|completions|embeddings|responses)"

_RESPONSE_MAX: Final = 4096  # bytes of a direct response that Envoy allows without being told


def first(endpoints: Collection[str]) -> list[Json]:
    """What comes before the user's own routes."""
    if not endpoints:
        return []
    return [
        *openai_answers.problems(),
        openai_answers.unknown_in_body(),
        _reading({"safe_regex": {"regex": _KNOWN}}),
        openai_answers.models(endpoints),
    ]


def last(endpoints: Collection[str]) -> list[Json]:
    """What comes after them."""
    if not endpoints:
        return []
    return [openai_answers.unknown_in_path(), _reading({"prefix": "/v1/"}), openai_answers.no_model_here()]


def described(endpoint: str) -> Encoded:
    """What `/v1/models/<endpoint>` leads to."""
    return ending(openai_answers.model(endpoint))


def largest_answer(endpoints: Collection[str]) -> Json:
    """The setting of a RouteConfiguration that lets Envoy answer with a list of these."""
    body = openai_answers.models(endpoints)["direct_response"]["body"]["inline_string"]
    return {"max_direct_response_body_size_bytes": len(body)} if len(body) > _RESPONSE_MAX else {}


def _reading(path: Json) -> Json:
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    return {
        "name": "body",
        "match": {**path, "headers": [post]},
        # It leads nowhere: whatever is read, the request is matched again. A direct response has no room for a body.
        "route": {"cluster_header": names.BODY_PROBLEM_HEADER},
        "request_body_buffer_limit": json_bodies.LIMIT,
        "metadata": json_bodies.mark(),
        "typed_per_filter_config": {
            **switched_on(names.BODY_READER, names.BODY_WRITER),
            names.EXT_PROC_FILTER: json_bodies.not_asked(),
        },
    }
