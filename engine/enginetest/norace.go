//go:build !race

package enginetest

// UnderRace reports whether the race detector runs, under which every step costs ten times as much: tests are smaller then.
const UnderRace = false
