//go:build tools

// Package tools pins the program that the benchmarks measure beside the exporter.
package tools

import _ "k8s.io/kube-state-metrics/v2"
