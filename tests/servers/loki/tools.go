//go:build tools

// Package tools pins the log store that the dashboards' queries are run against.
package tools

import _ "github.com/grafana/loki/v3/cmd/loki"
