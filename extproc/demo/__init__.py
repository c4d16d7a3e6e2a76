"""`extproc demo`: real models, real traffic, and a table that shows the split and how it follows an edit.

It uses the product from outside only, as a user does: the command line, the resource file, Envoy's port, the REST API.
"""
