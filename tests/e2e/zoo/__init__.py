"""The zoo: broken and healthy set-ups as plain data, and how each kind of server is started.

A set-up is a configuration in its own language (documents for a gateway, a server block of nginx,
lines of Python), a page's call, and what `meshcors doctor` must say about it. A fix is applied to
the text, so the same server runs with the fault and without it.
"""
