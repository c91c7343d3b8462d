"""An emulated Kubernetes API server. START HERE: `server.emulate`; it has a `store`, and `faults` to be switched on."""
