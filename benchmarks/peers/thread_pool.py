"""`python -m benchmarks.peers.thread_pool PORT`: an ext_proc server on gRPC's thread pool.

As in https://grpc.io/docs/languages/python/basics/: a servicer whose bidirectional method is a generator, and a
`grpc.server` with ten threads.
"""

import sys
from collections.abc import Iterator
from concurrent import futures

import grpc

from benchmarks.peers.decision import SERVICE, answer
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb


class ExternalProcessor:
    def Process(  # noqa: N802 - the method's own name
        self,
        request_iterator: Iterator[pb.ProcessingRequest],
        _context: grpc.ServicerContext,
    ) -> Iterator[pb.ProcessingResponse]:
        for request in request_iterator:
            yield answer(request)


def serve(port: int) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    process = grpc.stream_stream_rpc_method_handler(
        ExternalProcessor().Process,
        request_deserializer=pb.ProcessingRequest.FromString,
        response_serializer=pb.ProcessingResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Process": process})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
