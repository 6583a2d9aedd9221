"""What is allowed: policies, origins, header keys and rules by URL, and their problems."""
