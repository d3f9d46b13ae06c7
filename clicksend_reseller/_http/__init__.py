"""One request over one connection. The only layer that knows an HTTP library."""
