"""Observers: functions that are called with each decision, for metrics, traces and logs.

One is passed to any adapter as ``observer=``. It is called before the decision is carried out, in
the thread or on the event loop of the request, so it must not wait for anything. Its exceptions are
logged, and break no request.
"""

from meshcors._decision.observation import ObservedDecision, Observer

__all__ = ["ObservedDecision", "Observer"]
