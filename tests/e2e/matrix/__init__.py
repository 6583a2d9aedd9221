"""The matrix of path and host: servers, apps and requests, as plain data, and a raw client."""
