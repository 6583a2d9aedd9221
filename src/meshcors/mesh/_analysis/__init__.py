"""What explain, lint, fix and render all need to know about documents and routes."""
