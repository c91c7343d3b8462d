"""Nothing lost, nothing invented: the exporter under every fault of a cluster, a disk, a network and an endpoint."""
