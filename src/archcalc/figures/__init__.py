"""Sums over an architecture that engines, formats and questions all build on: what a checkpoint stores, what a cache keeps."""
