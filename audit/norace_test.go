//go:build !race

package audit_test

// underRace reports whether the race detector slows tests down.
const underRace = false
