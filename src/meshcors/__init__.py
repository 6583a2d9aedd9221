"""One CORS policy for services that share a URL and are picked by a request header."""
