"""Read YAML into VirtualServices and HTTPRoutes that know where each part is in its file."""
