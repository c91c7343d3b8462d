//go:build tools

// Package tools pins the package manager that the tests install charts with.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
