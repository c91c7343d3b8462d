"""Every error that this program raises on purpose, in one tree.

    ExporterError                 the message is one sentence with the place and the remedy; the command line
    │                             prints it as it is and exits with `exit_code`
    ├── UsageError                wrong arguments or environment                                     exit 2
    │   └── ConfigError           a configuration file: names the file, the key, the value           exit 2
    ├── ClusterError              no usable way to the API server (kubeconfig, network, identity)    exit 1
    │   ├── NetworkError          the API server did not answer, or not as one does; carries the kind of trouble
    │   └── ApiError              the API server answered with an error status; carries it
    │       └── ExpiredError      410: the history asked for is gone, list again
    ├── UnknownError              no object is called as somebody asks for it                        exit 1
    ├── JournalError              the data directory or the journal in it cannot be used             exit 1
    │   └── DamagedError          its files are not, or no longer, those of a journal of ours; carries the reason
    └── ListenError               the web address cannot be bound                                    exit 1

An error is raised where the facts are known and travels unwrapped; whoever turns a library's exception into one
of these chains it with `from`. Texts that a server sent are cut to 256 characters: they may hold anything.
"""

from __future__ import annotations

import traceback
from typing import Literal


MAX_SERVER_TEXT = 256

Trouble = Literal["refused", "dns", "tls", "timeout", "proxy", "broken", "redirect", "answer"]


def brief(error: BaseException) -> str:
    """Name an unexpected error and the place it comes from, without its text, which may hold what an object holds."""
    place = traceback.extract_tb(error.__traceback__)[-1:]
    return type(error).__name__ + "".join(f" at {frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in place)


class ExporterError(Exception):
    """The base of all: its text is meant for a person."""

    exit_code = 1


class UsageError(ExporterError):
    """The program was called in a way that cannot work."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file that cannot be used."""


class ClusterError(ExporterError):
    """The cluster cannot be reached or does not let us in."""


class NetworkError(ClusterError):
    """The server did not answer, or not as an API server does.

    Args:
        trouble: what kind of trouble it was
        message: the sentence

    """

    def __init__(self, trouble: Trouble, message: str) -> None:
        """Keep the kind."""
        self.trouble: Trouble = trouble
        super().__init__(message)


class ApiError(ClusterError):
    """The API server answered with an error.

    Args:
        status: the HTTP status, or the `code` of a Status object inside a watch stream
        reason: the machine-readable reason of the Status object, empty where there was none
        message: the server's words; cut to 256 characters
        retry_after: seconds the server asks to wait, None where it does not say
        causes: the reasons in the Status object's `details.causes`

    """

    def __init__(
        self,
        status: int,
        reason: str = "",
        message: str = "",
        *,
        retry_after: float | None = None,
        causes: tuple[str, ...] = (),
    ) -> None:
        """Keep the parts; compose the sentence."""
        self.status = status
        self.reason = reason
        self.message = message[:MAX_SERVER_TEXT]
        self.retry_after = retry_after
        self.causes = causes
        super().__init__(f"the API server answered {status} {reason}: {self.message}".rstrip(": "))


class ExpiredError(ApiError):
    """The history from which we asked to go on is no longer there (410 Gone)."""


class UnknownError(ExporterError):
    """An object is asked for by a name by which none is known."""


class JournalError(ExporterError):
    """The journal cannot be opened, read or written."""


class DamagedError(JournalError):
    """The journal's files are not, or no longer, those of a journal that this program can use.

    Args:
        reason: one word for the metric, see `exporter.journal.files.Reset`
        message: the sentence

    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason."""
        self.reason = reason
        super().__init__(message)


class ListenError(ExporterError):
    """The address for /metrics cannot be bound."""
