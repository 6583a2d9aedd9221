"""What is allowed: policies, origins, header keys, rules by URL; and every problem with them."""
