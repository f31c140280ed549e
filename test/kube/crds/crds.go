//go:build never

// Package crds pins the Prometheus Operator, whose resource definitions the tests give to the API server. They are files of its
// module; none of its code is used.
package crds

import _ "github.com/prometheus-operator/prometheus-operator/pkg/versionutil"
