"""The command lines of engines, and their logs: what people have, read without running any of it.

`words` finds an engine's command in arguments, scripts and manifests; `flags` reads it against the flags that the engine's release has;
`effects` says which of them change memory; `logs` reads what engines print.
"""
