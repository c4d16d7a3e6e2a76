"""What a peer can do wrong: a fault of one stream, or one after which nothing on the connection can be trusted.

RFC 9113, section 5.4. Neither is meant for a user: they end as RST_STREAM and GOAWAY frames.
"""

from extproc.http2.frames import ErrorCode


class StreamFault(Exception):
    """The stream is to be reset with `code`; the connection goes on."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


class ConnectionFault(Exception):
    """The connection is to be ended with `code`; `reason` goes into the GOAWAY frame, for whoever debugs the peer."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason
