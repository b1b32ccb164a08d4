//go:build race

package senselink

// raceEnabled says that allocations cannot be counted.
const raceEnabled = true
