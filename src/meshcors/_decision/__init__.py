"""The one decision: what a request is answered. Compiled from a policy; no I/O, no framework."""
