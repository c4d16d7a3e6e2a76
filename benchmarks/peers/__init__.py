"""ext_proc servers that the product is measured against, written as gRPC's own tutorial for Python writes servers."""
