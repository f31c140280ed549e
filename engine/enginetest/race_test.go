//go:build race

package enginetest_test

// underRace makes the differential test smaller where every step costs ten times as much.
const underRace = true
