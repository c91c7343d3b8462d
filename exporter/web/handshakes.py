"""Handshakes that fail, counted by why: no request comes of them, so that nobody else hears of them.

Must never log one, nor keep anything of who it was: anybody can have as many of them fail as they like.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Literal


if TYPE_CHECKING:
    from prometheus_client import Counter

Failure = Literal["certificate", "alert", "protocol"]


def count(context: ssl.SSLContext, failed: Counter) -> None:
    """Have the handshakes counted that fail with a context.

    One that is broken off without a word, as by a probe that only connects, does not fail by anything of TLS.
    """

    class Counting(ssl.SSLObject):
        """One side of a connection, whose handshake is counted where it fails."""

        def do_handshake(self) -> None:
            """Go on with the handshake."""
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise  # it goes on
            except ssl.SSLError as error:
                failed.labels(_reason(error)).inc()
                raise

    context.sslobject_class = Counting


def _reason(error: ssl.SSLError) -> Failure:
    """Say who broke it off: we, for the certificate of the client; the client; or both, with nothing in common."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError) or reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "certificate"
    return "alert" if "ALERT" in reason else "protocol"
