//go:build tools

// Package tools pins the program that sends the alerts of the end-to-end test.
package tools

import _ "github.com/prometheus/alertmanager/cmd/alertmanager"
