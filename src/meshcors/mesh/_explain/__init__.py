"""A page's call through the mesh in words: each step, the cause, what to change."""
