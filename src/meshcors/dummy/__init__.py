"""The preflight pod: ``python -m meshcors.dummy`` answers preflights for all services of a URL."""
