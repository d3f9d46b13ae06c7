"""The Reseller API as a state machine: requests in, replies out, no sockets."""
