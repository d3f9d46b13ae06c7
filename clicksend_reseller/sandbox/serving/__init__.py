"""The sandbox on a real socket: server, admin API, faults of the wire."""
