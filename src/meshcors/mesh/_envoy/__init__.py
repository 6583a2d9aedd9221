"""What an Envoy really runs: its configuration, as tables that `Gateway` answers from."""
