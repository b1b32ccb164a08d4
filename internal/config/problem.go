package config

import (
	"fmt"
	"strings"

	"github.com/gatecast/gatecast"
)

// Problem is one thing wrong with the settings.
type Problem struct {
	Where   string // "gatecast.toml:3:11", "GATECAST_SERVER_LISTEN" or "--server.listen"
	Key     string // "server.listen", as written if there is no such setting
	Message string // what is wrong, when it is not simply a value of the wrong kind
	Found   string // what stands there, secrets hidden
	Expect  string // what should stand there
	Remedy  string // what to do; may be empty
}

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Where)
	if p.Key != "" {
		fmt.Fprintf(&b, ": %s", p.Key)
	}
	if p.Message != "" {
		fmt.Fprintf(&b, ": %s", p.Message)
	} else {
		fmt.Fprintf(&b, ": found %s, expected %s", p.Found, p.Expect)
	}
	if p.Remedy != "" {
		fmt.Fprintf(&b, "; %s", p.Remedy)
	}
	return b.String()
}

// LoadError is every [Problem] found by one [Load], in the order file,
// environment, flags, then what does not go together.
type LoadError struct {
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *LoadError) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	if n := len(e.Problems); n > 1 {
		lines = append(lines, fmt.Sprintf("%d settings are wrong:", n))
	}
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each problem as an error with the code Invalid and its place.
func (e *LoadError) Unwrap() []error {
	errs := make([]error, 0, len(e.Problems))
	for _, p := range e.Problems {
		err := gatecast.Errorf(gatecast.Invalid, "%s", p.String())
		err.At = &gatecast.Place{
			Index: -1, Path: "/" + strings.ReplaceAll(p.Key, ".", "/"), Found: p.Found, Expected: p.Expect,
		}
		errs = append(errs, err)
	}
	return errs
}

// didYouMean names the known word nearest to word, as a remedy, or says
// otherwise where the names are listed.
func didYouMean(word string, known []string) string {
	best, distance := "", 1+len(word)/3
	for _, k := range known {
		if lastPart(k) == lastPart(word) && strings.Contains(k, ".") { // the right name in the wrong table
			best = k
			break
		}
		if d := editDistance(word, k); d <= distance && (best == "" || d < distance) {
			best, distance = k, d
		}
	}
	if best == "" {
		return "docs/config.md lists every setting"
	}
	return fmt.Sprintf("did you mean %s?", best)
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// editDistance is the number of letters to insert, delete, change or swap
// with their neighbour to make b of a (optimal string alignment).
func editDistance(a, b string) int {
	prev2, prev, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(b)]
}
