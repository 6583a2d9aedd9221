"""Mutants of the decision core: small faults, one at a time, that a unit test must notice.

``python -m tests.mutants`` makes them in memory, runs the module's unit tests against each, and
compares what survives with ``harmless.toml``.

Why no tool from the index: mutmut leaves alone what stands outside of functions, such as tables and
patterns, and names mutants by number; cosmic-ray starts a process for each.
"""
