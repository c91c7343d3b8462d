"""The TLS side of the settings: whom to trust and what to show.

Reads files; nothing else in this package does. It must never put a key into a message.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from exporter.errors import UsageError


if TYPE_CHECKING:
    from exporter.otlp.settings import Settings


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Build what verifies the endpoint and shows it our certificate.

    Raises:
        UsageError: a file cannot be used

    """
    try:
        context = ssl.create_default_context(cafile=settings.certificate)
    except OSError as error:  # an SSLError is one, too
        raise UsageError(
            f"OTEL_EXPORTER_OTLP_CERTIFICATE={settings.certificate} cannot be used ({error.strerror or error}): "
            "name a file of CA certificates in PEM"
        ) from error
    if settings.client_certificate:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except OSError as error:
            raise UsageError(
                f"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE={settings.client_certificate} with "
                f"OTEL_EXPORTER_OTLP_CLIENT_KEY={settings.client_key} cannot be used ({error.strerror or error}): "
                "name a certificate and its key in PEM"
            ) from error
    return context
