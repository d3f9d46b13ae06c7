"""Has more come than one answer? What lies unread on a connection, or before it."""

from __future__ import annotations

from typing import Any


def has_leftovers(connection: Any) -> bool:
    """Tell whether more came than one answer: the next call would take it for its own.

    httpcore looks at the socket alone. What came beyond lies in h11's buffer, or not yet
    decrypted in anyio's TLS stream, or not yet asked for in its socket stream.
    """
    while connection is not None and not hasattr(connection, "_h11_state"):
        connection = getattr(connection, "_connection", None)
    if connection is None:
        return False
    if connection._h11_state.trailing_data[0]:  # noqa: SLF001 - nothing public shows it
        return True
    stream = getattr(getattr(connection, "_network_stream", None), "_stream", None)
    while stream is not None:
        undecrypted = getattr(stream, "_read_bio", None)
        if undecrypted is not None and undecrypted.pending:
            return True
        if getattr(getattr(stream, "_protocol", None), "read_queue", None):
            return True
        stream = getattr(stream, "transport_stream", None)
    return False
