// Package metrics holds everything that a server counts.
package metrics
