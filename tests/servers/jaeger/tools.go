//go:build tools

// Package tools pins the trace store that the tests send rollouts to and ask for them.
package tools

import _ "github.com/jaegertracing/jaeger/cmd/all-in-one"
