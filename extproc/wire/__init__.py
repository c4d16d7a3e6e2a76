"""Bytes ⇄ values of core, without sockets: resources as users write them, and the messages Envoy sends."""
