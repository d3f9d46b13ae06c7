"""One request over a connection: the only layer that knows an HTTP library."""
