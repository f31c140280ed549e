//go:build !race

package server_test

// underRace makes tests smaller where every step costs ten times as much.
const underRace = false
