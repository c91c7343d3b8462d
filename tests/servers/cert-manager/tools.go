//go:build tools

// Package tools pins the operator that the tests run.
package tools

import _ "github.com/cert-manager/cert-manager/cmd/controller"
