"""What both peers answer: one weighted draw between two candidates, as anyone would write it by hand.

`extproc_pb2` would be generated from Envoy's own .proto files; here it is this repository's slim schema, whose messages
are the same on the wire and declare fewer fields, which makes the peers a little faster.
"""

import random
from typing import Final

from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb

SERVICE: Final = "envoy.service.ext_proc.v3.ExternalProcessor"
CANDIDATES: Final = ["iris-ab/iris", "iris-ab/iris2"]
WEIGHTS: Final = [70, 30]


def labelled(label: str) -> pb.ProcessingResponse:
    """The response that tells Envoy of a decision."""
    response = pb.ProcessingResponse()
    common = response.request_headers.response
    common.clear_route_cache = True
    option = common.header_mutation.set_headers.add()
    option.header.key = "x-extproc-route"
    option.header.raw_value = label.encode()
    option.append_action = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return response


def answer(request: pb.ProcessingRequest) -> pb.ProcessingResponse:
    """The response to one message of a stream."""
    if request.WhichOneof("request") != "request_headers":
        return pb.ProcessingResponse()
    [label] = random.choices(CANDIDATES, WEIGHTS)
    return labelled(label)
