"""The preflight pod: ``python -m meshcors.dummy`` answers preflights for all services of a URL.

The command is called ``dummy`` because no service is behind it; everywhere else it is "the pod".
"""
