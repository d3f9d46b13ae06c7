"""Which certificates do the tests trust? One throw-away authority per process.

Certificates are made for 127.0.0.1 and localhost; the contexts that a client must
refuse differ in one thing each.
"""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache

import trustme

NAMES = ("localhost", "127.0.0.1")


@cache
def authority() -> trustme.CA:
    """Make the authority that the tests' clients trust."""
    return trustme.CA()


@cache
def client_context() -> ssl.SSLContext:
    """Trust the tests' authority and nothing else."""
    return ssl.create_default_context(cadata=authority().cert_pem.bytes().decode())


@cache
def server_context() -> ssl.SSLContext:
    """Serve a certificate with which nothing is wrong."""
    return _serving(authority().issue_cert(*NAMES))


@cache
def wrong_name_context() -> ssl.SSLContext:
    """Serve a certificate for another host."""
    return _serving(authority().issue_cert("elsewhere.test"))


@cache
def unknown_authority_context() -> ssl.SSLContext:
    """Serve a certificate of an authority that nobody knows."""
    return _serving(trustme.CA().issue_cert(*NAMES))


@cache
def expired_context() -> ssl.SSLContext:
    """Serve a certificate that ended yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return _serving(authority().issue_cert(*NAMES, not_after=yesterday))


@cache
def client_certificate_context() -> ssl.SSLContext:
    """Demand a certificate of the client: under TLS 1.3 it learns that only after sending."""
    context = _serving(authority().issue_cert(*NAMES))
    context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(context)
    return context


def _serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context
