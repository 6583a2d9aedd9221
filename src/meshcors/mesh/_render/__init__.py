"""Write a policy as documents for the mesh and for the cluster."""
