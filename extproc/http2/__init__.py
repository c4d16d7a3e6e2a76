"""HTTP/2 and gRPC for a server, without sockets (RFC 9113, RFC 7541): bytes in, calls of our own and bytes out.

Theory of operation. Whoever owns a socket makes a `Connection`, gives what it reads to `receive`, with the time, and
writes what `take` returns. One read of a busy client holds the frames of many streams; all of them are answered before
`receive` returns, so they go out in one write. There are no tasks and no queues: a frame is a call down this list, and
an answer is bytes appended to `Sending.out`.

    connection      cuts bytes into frames, knows the streams, turns faults into RST_STREAM and GOAWAY
    requests        DATA, HEADERS, CONTINUATION;    control: all other frames, and the graceful way out
    header_blocks   HPACK, by the hpack library, and what need not be decoded again;    request: what a head must be
    sending         flow control of what goes out;    stream: one stream, to be subclassed
    whole_calls     a shorter way for what a busy Envoy sends, which comes to the same
    limits          what a peer may ask for: sizes, and patience with frames that ask for nothing
    grpc_methods    a head as a gRPC call;    grpc_calls: messages and deadlines;    grpc_status: how calls end

What bounds memory. Nothing of a message is kept when it comes whole and can be answered. Otherwise its bytes are in one
of two places, a call's inbox (the beginning of a message, or messages that wait while answers can't be sent) and
`Stream.unsent` (answers beyond the peer's windows), and `Sending.held` counts both for the whole connection: the call
that makes it exceed `Limits.memory` is ended. A stream whose answers wait is given no more window, so a peer that reads
nothing is held up there; and its connection is not read while its socket takes nothing.

What bounds work. Frames that carry messages are paid for by what they ask. All others use up patience, which comes back
with time and with messages answered; a connection that has none left is ended with ENHANCE_YOUR_CALM.
"""
