"""`python -m benchmarks.peers.aio PORT`: an ext_proc server on gRPC's asyncio API.

As in https://github.com/grpc/grpc/blob/master/examples/python/route_guide/asyncio_route_guide_server.py: a servicer
whose bidirectional method is an asynchronous generator, and a `grpc.aio.server`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc

from benchmarks.peers.decision import SERVICE, answer
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb


class ExternalProcessor:
    async def Process(  # noqa: N802 - the method's own name
        self,
        request_iterator: AsyncIterator[pb.ProcessingRequest],
        _context: grpc.aio.ServicerContext[pb.ProcessingRequest, pb.ProcessingResponse],
    ) -> AsyncIterator[pb.ProcessingResponse]:
        async for request in request_iterator:
            yield answer(request)


async def serve(port: int) -> None:
    server = grpc.aio.server()
    process = grpc.stream_stream_rpc_method_handler(
        ExternalProcessor().Process,
        request_deserializer=pb.ProcessingRequest.FromString,
        response_serializer=pb.ProcessingResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Process": process})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
