//go:build !race

package journal

// raceEnabled says that allocations cannot be counted.
const raceEnabled = false
