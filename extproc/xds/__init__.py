"""Resources to Envoy configuration: pure functions from values to values, no sockets."""
