"""The lab: a real gateway on this machine, and a page that calls it, before and after the fix.

Pure: `names`, `calls`, `fixed`, `notes`, `policy`, `scene`, `story`, `envoy_config`, `sequence`.
The rest starts processes and servers on 127.0.0.1, and ends them.
"""
