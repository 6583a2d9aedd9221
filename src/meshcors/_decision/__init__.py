"""The one decision: how to answer a request. Compiled from a policy; no I/O, no framework."""
