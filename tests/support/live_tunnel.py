"""A server on loopback that leads to the account behind it, as an SSH tunnel or a proxy does."""

import contextlib
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import attrs

from clicksend_reseller.sandbox.identity import ROUTE


@attrs.define
class Tunnel:
    """Where it listens, and what it was asked that is none of the API's.

    Attributes:
        asked: the method, path and headers of each question about the tunnel itself.
    """

    url: str
    asked: list[tuple[str, str, dict[str, str]]] = attrs.field(factory=list)


@contextlib.contextmanager
def tunnel(target, answer=None):
    """Forward the API to a served sandbox, which plays the live account.

    Args:
        target: the URL of the sandbox.
        answer: gets the handler of a question under /_sandbox/; None is a 404 as the API gives.
    """
    behind = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self):
            if not self.path.startswith("/v3"):
                opened.asked.append((self.command, self.path, dict(self.headers)))
            if self.path.startswith(ROUTE.rpartition("/")[0]) and answer is not None:
                answer(self)
                return
            self._forward("/nothing" if not self.path.startswith("/v3") else self.path)

        do_GET = do_PUT = do_POST = _handle  # noqa: N815 - the names that http.server looks for

        def _forward(self, path):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            onward = http.client.HTTPConnection(behind.hostname, behind.port)
            headers = {**dict(self.headers), "Host": behind.netloc, "Connection": "close"}
            onward.request(self.command, path, body, headers)
            reply = onward.getresponse()
            content = reply.read()
            self.send_response(reply.status)
            self.send_header("content-length", str(len(content)))
            self.send_header("content-type", reply.getheader("content-type", ""))
            self.end_headers()
            self.wfile.write(content)
            onward.close()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        opened = Tunnel(f"http://127.0.0.1:{server.server_address[1]}/v3")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield opened
        finally:
            server.shutdown()
            thread.join()


def say(handler, body, status=200):
    """Answer with these bytes."""
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
