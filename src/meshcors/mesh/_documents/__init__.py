"""Reading: YAML into VirtualServices and HTTPRoutes, with the place of everything in its file."""
