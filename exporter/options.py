"""What the command line says about a run, as one value: read by `cli`, used by `app`."""

from __future__ import annotations

from msgspec import Struct


class RunOptions(Struct, frozen=True, kw_only=True):
    """Flags of `run`; `None` is: not given."""

    kubeconfig: str | None = None
    context: str | None = None
    config: str | None = None
    data_dir: str = "./customresource-exporter-data"
    listen_address: str = ":9838"
    web_config: str | None = None
    lifecycle: bool = False
    log_level: str = "info"
    log_format: str = "console"
