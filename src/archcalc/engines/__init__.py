"""How engines hold models and serve them: one folder each, found in the registry of `engine`, and what all of them share.

An engine's own folder holds its rules; what it answers is the object `ENGINE` of the folder's `__init__`.
"""
