"""Frameworks of training: what each keeps, shards and gathers, and its own configuration file."""
