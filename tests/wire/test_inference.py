"""V2 JSON ⇄ gRPC's messages, against tritonclient's own messages, which have the official schema."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from extproc.wire.inference import (
    MODEL_INFER,
    NotAnInferenceRequestError,
    json_body,
    model_infer_request,
    response_json,
)
from extproc.wire.pb.extproc.slim import inference_pb2


def request(body: dict[str, Any], model: str = "iris") -> Any:
    return service_pb2.ModelInferRequest.FromString(model_infer_request(body, model))


def tensor(datatype: str, data: Any, **fields: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": datatype, "shape": [len(data)], "data": data, **fields}


@pytest.mark.parametrize("name", ["InferParameter", "InferTensorContents", "ModelInferRequest", "ModelInferResponse"])
def test_the_slim_schema_is_the_official_one(name: str) -> None:
    def fields(descriptor: Any) -> Any:
        return (
            [(f.name, f.number, f.type, f.is_repeated) for f in descriptor.fields],
            {nested.name: fields(nested) for nested in descriptor.nested_types},
        )

    official = service_pb2.DESCRIPTOR.message_types_by_name[name]
    assert fields(inference_pb2.DESCRIPTOR.message_types_by_name[name]) == fields(official)


def test_the_method_is_the_official_one() -> None:
    (service,) = service_pb2.DESCRIPTOR.services_by_name.values()
    assert f"/{service.full_name}/{service.methods_by_name['ModelInfer'].name}" == MODEL_INFER


@pytest.mark.parametrize(
    ("datatype", "data", "field", "values"),
    [
        ("BOOL", [True, False], "bool_contents", [True, False]),
        ("INT8", [-128], "int_contents", [-128]),
        ("INT16", [5], "int_contents", [5]),
        ("INT32", [-(2**31)], "int_contents", [-(2**31)]),
        ("INT64", [2**63 - 1], "int64_contents", [2**63 - 1]),
        ("UINT8", [255], "uint_contents", [255]),
        ("UINT16", [1], "uint_contents", [1]),
        ("UINT32", [2**32 - 1], "uint_contents", [2**32 - 1]),
        ("UINT64", [2**64 - 1], "uint64_contents", [2**64 - 1]),
        ("FP32", [0.5, 2], "fp32_contents", [0.5, 2.0]),
        ("FP64", [[0.1], [[0.2], 0.3]], "fp64_contents", [0.1, 0.2, 0.3]),
        ("BYTES", ["a", "é"], "bytes_contents", [b"a", "é".encode()]),
    ],
)
def test_data_becomes_contents_of_its_datatype(datatype: str, data: list[Any], field: str, values: list[Any]) -> None:
    (sent,) = request({"inputs": [tensor(datatype, data)]}).inputs
    assert list(getattr(sent.contents, field)) == values
    assert [f.name for f, _ in sent.contents.ListFields()] == [field]
    assert (sent.name, sent.datatype) == ("x", datatype)


def test_everything_else_of_a_body_is_carried_over() -> None:
    sent = request({
        "id": "7",
        "parameters": {"a": True, "b": 5, "c": "x", "d": 0.5, "e": {"uint64_param": "9"}},
        "inputs": [tensor("FP32", [1.0], parameters={"content_type": "np"})],
        "outputs": [{"name": "predict", "parameters": {"binary_data": False}}],
    })  # fmt: skip
    assert (sent.model_name, sent.id) == ("iris", "7")
    chosen = {key: value.WhichOneof("parameter_choice") for key, value in sent.parameters.items()}
    wanted = {"a": "bool_param", "b": "int64_param", "c": "string_param", "d": "double_param", "e": "uint64_param"}
    assert chosen == wanted
    assert sent.inputs[0].parameters["content_type"].string_param == "np"
    assert sent.outputs[0].name == "predict"
    assert sent.outputs[0].parameters["binary_data"].bool_param is False


def test_grpc_s_own_form_is_taken_as_it_is() -> None:
    sent = request({
        "model_name": "served",
        "modelVersion": "2",
        "inputs": [{"name": "x", "datatype": "FP16", "shape": ["2"]}, {"contents": {"fp32_contents": [1]}}],
        "raw_input_contents": ["AAE="],
    })  # fmt: skip
    assert (sent.model_name, sent.model_version, list(sent.raw_input_contents)) == ("served", "2", [b"\x00\x01"])
    assert list(sent.inputs[1].contents.fp32_contents) == [1.0]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"inputs": 5}, "inputs: must be a list"),
        ({"inputs": [5]}, r"inputs\[0\]: must be an object"),
        ({"outputs": ["x"]}, r"outputs\[0\]: must be an object"),
        ({"inputs": [tensor("FP16", [1])]}, r"inputs\[0\].datatype: 'FP16' can't be sent over gRPC"),
        ({"inputs": [{"data": [1]}]}, r"inputs\[0\].datatype: null can't"),
        ({"inputs": [{"data": [1], "datatype": ["FP32"]}]}, r"inputs\[0\].datatype"),
        ({"inputs": [tensor("INT32", [2**31])]}, "inputs"),
        ({"inputs": [tensor("FP32", ["many"])]}, "inputs"),
        (
            {"inputs": [tensor("BYTES", ["a", 5])]},
            r"inputs\[0\].data: must hold texts where the datatype is BYTES, not 5",
        ),
        ({"inputs": [tensor("BYTES", ["\ud800"])]}, r"inputs\[0\].data: holds half a surrogate pair"),
        ({"inputs": [], "wrong": 1}, "wrong"),
        ({"parameters": 5}, "parameters: must be an object"),
        ({"inputs": [{"name": "x", "parameters": []}]}, r"inputs\[0\].parameters: must be an object"),
    ],
)
def test_what_can_t_be_sent_is_said_with_its_place(body: dict[str, Any], says: str) -> None:
    with pytest.raises(NotAnInferenceRequestError, match=says):
        model_infer_request(body, "iris")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1, column 1"),
        ('{\n"inputs": [}', "line 2, column 12"),
        ("[]", 'must be an object like {"inputs"'),
        ("5", "not 5"),
        (b"\xff{}", "UTF-8"),
        ("[" * 100_000, "deeply"),
        ('{"a": ' + "1" * 5000 + "}", "number of too many digits"),
    ],
)
def test_what_is_no_json_object_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(NotAnInferenceRequestError, match=says):
        json_body(text if isinstance(text, bytes) else text.encode())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
        lambda c: (
            st.lists(c)
            | st.dictionaries(
                st.sampled_from(["inputs", "outputs", "parameters", "name", "datatype", "data", "contents", "shape"]), c
            )
        ),
    )
)
def test_any_json_is_sent_or_refused(value: Any) -> None:
    try:
        message = model_infer_request({"inputs": value, "parameters": value}, "iris")
    except NotAnInferenceRequestError:
        return
    assert service_pb2.ModelInferRequest.FromString(message).model_name == "iris"


def test_an_answer_is_shown_in_json_s_form() -> None:
    answer = service_pb2.ModelInferResponse(model_name="iris", model_version="1", id="7")
    answer.parameters["a"].int64_param = 5
    answer.outputs.add(name="x", datatype="INT64", shape=[2]).contents.int64_contents.extend([2**60, -1])
    answer.outputs.add(name="y", datatype="BYTES", shape=[1]).contents.bytes_contents.append("é".encode())
    assert response_json(answer.SerializeToString()) == {
        "model_name": "iris",
        "model_version": "1",
        "id": "7",
        "parameters": {"a": 5},
        "outputs": [
            {"name": "x", "datatype": "INT64", "shape": [2], "data": [2**60, -1]},
            {"name": "y", "datatype": "BYTES", "shape": [1], "data": ["é"]},
        ],
    }


@pytest.mark.parametrize(
    ("datatype", "raw", "data"),
    [
        ("FP32", struct.pack("<2f", 0.5, -2.0), [0.5, -2.0]),
        ("FP16", struct.pack("<e", 0.5), [0.5]),
        ("INT8", b"\xff\x01", [-1, 1]),
        ("UINT64", b"\xff" * 8, [2**64 - 1]),
        ("BOOL", b"\x01\x00", [True, False]),
        ("BYTES", b"\x02\x00\x00\x00ab\x00\x00\x00\x00", ["ab", ""]),
        ("BF16", b"\x80\x3f", "gD8="),
        ("FP32", b"\x00", "AA=="),
        ("BYTES", b"\x02\x00", "AgA="),
        ("BYTES", b"\x09\x00\x00\x00ab", "CQAAAGFi"),
    ],
)
def test_raw_values_are_unpacked_or_shown_as_they_are(datatype: str, raw: bytes, data: Any) -> None:
    answer = service_pb2.ModelInferResponse(model_name="iris", raw_output_contents=[raw])
    answer.outputs.add(name="x", datatype=datatype, shape=[1])
    shown = response_json(answer.SerializeToString())
    assert shown is not None
    assert shown["outputs"][0]["data"] == data


def test_bytes_that_are_no_answer() -> None:
    assert response_json(b"\xff") is None
