//go:build race

package swarm

// raceEnabled says that allocations cannot be counted.
const raceEnabled = true
