"""What explain, lint, fix and render need to know about documents and routes."""
