"""One contract for two API servers: what is true of the real kube-apiserver is true of the emulated one."""
