"""Apps that the servers of the comparison serve; each file is one, and imports no more."""
