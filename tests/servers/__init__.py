"""The real servers that the tests and the demo run against: how they are built, found and started.

One Go module per server pins its version. To move one: change its go.mod, run `go mod tidy -e` beside it, build. The
`replace` lines of Kubernetes' modules are there because it requires its own parts as v0.0.0: v1.37.2 means v0.37.2.
Nothing here may install anything outside the checkout and the user's cache.
"""
