"""What an Envoy really runs: its configuration, read into the tables that `Gateway` answers from."""
