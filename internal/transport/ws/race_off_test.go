//go:build !race

package ws

// raceEnabled says that allocations cannot be counted.
const raceEnabled = false
