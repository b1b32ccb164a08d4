//go:build !race

package wsconn

// raceEnabled says that allocations cannot be counted.
const raceEnabled = false
