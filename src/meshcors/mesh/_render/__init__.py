"""A policy as documents for the mesh and the cluster."""
