"""Inference requests and responses of the Open Inference Protocol ("V2"): REST's JSON ⇄ gRPC's messages.

The two forms of the protocol differ in how a tensor holds its values: `data` in JSON, `contents` with one field for
each datatype, or raw bytes, in gRPC. A body in either form is read, so that one file serves both protocols; an answer
is always shown in JSON's form. Specification: https://github.com/open-inference-protocol/open-inference-protocol.
"""

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from extproc.errors import ExtprocError
from extproc.wire.pb.extproc.slim import inference_pb2 as pb
from extproc.wire.values import Json, shown, text_problem

MODEL_INFER: Final = "/inference.GRPCInferenceService/ModelInfer"

# "Tensor Data Types": the field of InferTensorContents, and the struct format of one little-endian raw value. FP16 and
# BF16 have no field, BYTES are raw with a length before each.
_CONTENTS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_RAW: Final = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
_LENGTH: Final = struct.Struct("<I")


class NotAnInferenceRequestError(ExtprocError):
    """A body can't be sent as a V2 inference request; the message says where and why."""


def json_body(text: bytes) -> dict[str, Json]:
    """The JSON object in `text`. Raises NotAnInferenceRequestError."""
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        raise NotAnInferenceRequestError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise NotAnInferenceRequestError("is no text: save it as UTF-8") from error
    except RecursionError as error:
        raise NotAnInferenceRequestError("is nested too deeply") from error
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        raise NotAnInferenceRequestError("holds a number of too many digits") from error
    if not isinstance(body, dict):
        raise NotAnInferenceRequestError(f'must be an object like {{"inputs": […]}}, not {shown(body)}')
    return body


def model_infer_request(body: Mapping[str, Json], model: str) -> bytes:
    """`body` as a serialised ModelInferRequest; `model` is its `model_name` unless the body has one.

    Raises NotAnInferenceRequestError.
    """
    fields: dict[str, Json] = {
        "model_name": model,
        **body,
        "parameters": _parameters(body.get("parameters"), "parameters"),
    }
    for key, convert in (("inputs", _input), ("outputs", _output)):
        tensors = body.get(key, [])
        if not isinstance(tensors, list):
            raise NotAnInferenceRequestError(f"{key}: must be a list, not {shown(tensors)}")
        fields[key] = [convert(tensor, f"{key}[{i}]") for i, tensor in enumerate(tensors)]
    try:
        return json_format.ParseDict(fields, pb.ModelInferRequest()).SerializeToString()
    except json_format.ParseError as error:
        raise NotAnInferenceRequestError(str(error)) from error


def response_json(message: bytes) -> dict[str, Json] | None:
    """A serialised ModelInferResponse as REST would show it; None for bytes that are none."""
    try:
        response = pb.ModelInferResponse.FromString(message)
    except DecodeError:
        return None
    answer: dict[str, Json] = {"model_name": response.model_name}
    if response.model_version:
        answer["model_version"] = response.model_version
    if response.id:
        answer["id"] = response.id
    if response.parameters:
        answer["parameters"] = _plain(response.parameters)
    answer["outputs"] = list(_outputs(response))
    return answer


def _input(tensor: Json, path: str) -> Json:
    if not isinstance(tensor, dict):
        raise NotAnInferenceRequestError(f"{path}: must be an object, not {shown(tensor)}")
    fields = {**tensor, "parameters": _parameters(tensor.get("parameters"), f"{path}.parameters")}
    if "data" not in tensor:
        return fields
    datatype = tensor.get("datatype")
    field = _CONTENTS.get(datatype) if isinstance(datatype, str) else None
    if field is None:
        raise NotAnInferenceRequestError(
            f"{path}.datatype: {shown(datatype)} can't be sent over gRPC with data: use one of {', '.join(_CONTENTS)},"
            " or give the values in raw_input_contents, in base64"
        )
    values = list(_flat(fields.pop("data")))
    if datatype == "BYTES":
        values = [_base64(value, f"{path}.data") for value in values]
    return {**fields, "contents": {field: values}}


def _base64(value: Json, path: str) -> str:
    """One value of BYTES as proto3 JSON writes bytes."""
    if not isinstance(value, str):
        raise NotAnInferenceRequestError(f"{path}: must hold texts where the datatype is BYTES, not {shown(value)}")
    if text_problem(value):
        raise NotAnInferenceRequestError(f"{path}: {text_problem(value)}")
    return base64.b64encode(value.encode()).decode()


def _output(tensor: Json, path: str) -> Json:
    if not isinstance(tensor, dict):
        raise NotAnInferenceRequestError(f"{path}: must be an object, not {shown(tensor)}")
    return {**tensor, "parameters": _parameters(tensor.get("parameters"), f"{path}.parameters")}


def _flat(data: Json) -> Iterator[Json]:
    """The values in row-major order; JSON may nest them by the tensor's shape ("Tensor Data")."""
    if not isinstance(data, list):
        yield data
        return
    for item in data:
        yield from _flat(item)


def _parameters(parameters: Json, path: str) -> dict[str, Json]:
    """JSON's plain parameters as InferParameters; one that already is one stays."""
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise NotAnInferenceRequestError(f"{path}: must be an object, not {shown(parameters)}")
    return {key: value if isinstance(value, dict) else {_choice(value): value} for key, value in parameters.items()}


def _choice(value: Json) -> str:
    match value:
        case bool():
            return "bool_param"
        case int():
            return "int64_param"
        case float():
            return "double_param"
        case _:
            return "string_param"


def _plain(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Json]:
    return {
        key: getattr(value, value.WhichOneof("parameter_choice") or "string_param") for key, value in parameters.items()
    }


def _outputs(response: pb.ModelInferResponse) -> Iterator[dict[str, Json]]:
    raw = response.raw_output_contents
    for i, output in enumerate(response.outputs):
        tensor: dict[str, Json] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if output.parameters:
            tensor["parameters"] = _plain(output.parameters)
        tensor["data"] = _unpacked(output.datatype, raw[i]) if i < len(raw) else _values(output)
        yield tensor


def _values(output: Any) -> list[Json]:
    field = _CONTENTS.get(output.datatype)
    values = list(getattr(output.contents, field)) if field else []
    return [_text(value) for value in values] if output.datatype == "BYTES" else values


def _unpacked(datatype: str, raw: bytes) -> list[Json] | str:
    """The values of a raw tensor; as they are, in base64, where its datatype or its length can't be read."""
    try:
        if datatype == "BYTES":
            return list(_raw_texts(raw))
        one = struct.Struct(f"<{_RAW[datatype]}")
        return [value for (value,) in one.iter_unpack(raw)]
    except (KeyError, struct.error):
        return base64.b64encode(raw).decode()


def _raw_texts(raw: bytes) -> Iterator[str]:
    at = 0
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        (value,) = struct.unpack_from(f"{length}s", raw, at)
        yield _text(value)
        at += length


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
