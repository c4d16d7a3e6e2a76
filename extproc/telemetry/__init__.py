"""Traces, metrics, logs: what is told about what happens. Nothing below `server` imports it."""
