"""The filters by which Envoy itself reads and writes the model's name in gRPC messages of the Open Inference Protocol.

One pair finds the name before a route is chosen, where the metadata `seldon-model` does not say it; the other filter
gives the message the name that the chosen route's server knows, and the answer the client's again. Must stay true:
extproc has no part in either, so that it needs no bodies, and its end changes nothing. Why not ext_proc: a stream that
it has begun to rename needs it for as long as the stream lasts, and Envoy's own `message_timeout` counts while a large
body is on its way to it.
"""

import base64
from collections.abc import Iterable
from functools import cache
from typing import Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from extproc import names
from extproc.core.resources import Model
from extproc.core.upstreams import Server
from extproc.xds import answers, json_bodies, lua_filters
from extproc.xds.encode import Json, Packed, pack, typed
from extproc.xds.lua_filters import switched_on

SERVICE: Final = "inference.GRPCInferenceService"
SERVICE_PATH: Final = f"/{SERVICE}/"

# The methods whose request names one model, in field 1, and how that field is called.
_METHODS: Final = {
    "ModelInfer": "model_name",
    "ModelStreamInfer": "model_name",
    "ModelReady": "name",
    "ModelMetadata": "name",
    "ModelConfig": "name",
    "ModelStatistics": "name",
}
_EXTRACTED: Final = "envoy.filters.http.grpc_field_extraction"  # the namespace of its metadata, however it is called

_CONSTANTS: Final = {
    "MODEL_HEADER": names.MODEL_HEADER,
    "PROBLEM_HEADER": names.BODY_PROBLEM_HEADER,
    "NAMESPACE": names.V2_WRITER,
    "EXTRACTED": _EXTRACTED,
}


def reading() -> list[Json]:
    """The filters that read; they stand before ext_proc, and are on where a route says so."""
    extraction = typed(
        "envoy.extensions.filters.http.grpc_field_extraction.v3.GrpcFieldExtractionConfig",
        descriptor_set={"inline_bytes": _descriptors()},
        extractions_by_method={
            f"{SERVICE}.{method}": {"request_field_extractions": {field: {}}} for method, field in _METHODS.items()
        },
    )
    return [
        _lua(names.V2_GUARD, "expect_v2.lua"),
        {"name": names.V2_READER, "disabled": True, "typed_config": extraction},
        _lua(names.V2_NAMER, "name_v2.lua"),
    ]


def writing() -> Json:
    """The filter that writes; it stands after ext_proc, whose decision it follows."""
    return _lua(names.V2_WRITER, "v2_messages.lua", "rename_v2.lua")


def needed(endpoint: str, servers: Iterable[Server]) -> bool:
    """Whether messages that name a model as the endpoint is called mean another to one of these servers."""
    served = [model.served_name for model in servers if isinstance(model, Model) and model.speaks_grpc]
    if endpoint.endswith(names.EXPERIMENT_SUFFIX):
        return bool(served)  # no model is meant to be called so
    return any(name != endpoint.removesuffix(names.PIPELINE_SUFFIX) for name in served)


def renaming(routes: list[Json]) -> list[Json]:
    """The routes that requests meet first, those of gRPC with what it takes to rename messages."""
    return [_switched_on(route) if "route" in route and "grpc" in route["match"] else route for route in routes]


def _switched_on(route: Json) -> Json:
    filters = {**route.get("typed_per_filter_config", {}), **switched_on(names.V2_WRITER)}
    return {**route, "typed_per_filter_config": filters, "request_body_buffer_limit": json_bodies.LIMIT}


def first(models: Iterable[Model]) -> list[Json]:
    """The routes of calls that no header names a model of: they are matched again by what their message says."""
    if not any(model.speaks_grpc for model in models):
        return []
    here = {"prefix": SERVICE_PATH, "grpc": {}}
    problem = {"name": names.BODY_PROBLEM_HEADER, "present_match": True}
    not_asked = {names.EXT_PROC_FILTER: json_bodies.not_asked()}
    reading = {
        "name": "message",
        "match": here,
        # It leads nowhere: whatever is read, the request is matched again.
        "route": {"cluster_header": names.BODY_PROBLEM_HEADER},
        "request_body_buffer_limit": json_bodies.LIMIT,
        "typed_per_filter_config": {
            names.V2_READER: _on(),
            **switched_on(names.V2_GUARD, names.V2_NAMER, names.V2_WRITER),
            **not_asked,
        },
    }
    unnamed = answers.unnamed({**here, "headers": [problem]})
    return [{**unnamed, "typed_per_filter_config": not_asked}, reading]


@cache
def _on() -> Packed:
    """Switches on the filter that extracts. It has nothing to configure for routes, and may be given anything."""
    anything = pack("envoy.extensions.filters.http.lua.v3.LuaPerRoute", {})
    return pack("envoy.config.route.v3.FilterConfig", {"config": anything, "is_optional": True})


@cache
def source(*scripts: str) -> str:
    """Scripts, each building on those before it; the comments are for people, who read the files."""
    return lua_filters.source(_CONSTANTS, *scripts)


def _lua(name: str, *scripts: str) -> Json:
    return lua_filters.lua_filter(name, _CONSTANTS, *scripts)


@cache
def _descriptors() -> str:
    """As much of the service's FileDescriptorSet as it takes to find the names."""
    file = FileDescriptorProto(name="inference.proto", package="inference", syntax="proto3")
    service = file.service.add(name=SERVICE.rpartition(".")[2])
    for method, field in _METHODS.items():
        message = file.message_type.add(name=f"{method}Request")
        message.field.add(
            name=field, number=1, type=FieldDescriptorProto.TYPE_STRING, label=FieldDescriptorProto.LABEL_OPTIONAL
        )
        kind, streaming = f".inference.{message.name}", method == "ModelStreamInfer"
        service.method.add(
            name=method, input_type=kind, output_type=kind, client_streaming=streaming, server_streaming=streaming
        )
    return base64.b64encode(FileDescriptorSet(file=[file]).SerializeToString(deterministic=True)).decode()
