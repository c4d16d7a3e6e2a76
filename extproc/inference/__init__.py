"""The client's side of `extproc infer`: V2 inference requests to Envoy, and what the answers add up to.

It knows the product from outside only, as any client does: Envoy's inference port and the REST API. Beneath the
command line, and imports nothing of the server: cli → inference → wire, core → names, errors.
"""
