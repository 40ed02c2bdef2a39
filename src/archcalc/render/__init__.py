"""One file per output format. Rendering computes nothing: every figure stands in the report."""
