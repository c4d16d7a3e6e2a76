"""What the tests stand on: real processes, real sockets, stub model servers, load, and waiting without sleeping."""
