"""Model servers as real processes, each inside meshcors, and the same requests to all of them."""
