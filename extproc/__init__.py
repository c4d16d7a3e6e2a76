"""Experiments between ML models, routed by Envoy: Envoy matches, extproc chooses, Envoy routes and mirrors."""

__version__ = "0.1.0"
