// Command testsum reads "go test -json" from standard input and prints what a
// person wants of it: the output of what failed, why something was skipped,
// go test's own line for each package, how to repeat what failed, and a last
// line with the counts.
// It exits with 1 if anything failed, did not build, or if no test ran.
//
// It counts test functions; a subtest counts only if it was skipped, so that
// nothing left out goes unseen.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
)

func main() {
	s := summary{out: os.Stdout, output: map[string]*strings.Builder{}, failures: map[string]int{}, loud: map[string]bool{}}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
	if !s.close() {
		os.Exit(1)
	}
}

// event is one line of "go test -json" (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string // empty for a package
	Output  string
	Elapsed float64 // seconds, of an end
}

// summary is what was read so far.
type summary struct {
	out                     io.Writer
	output                  map[string]*strings.Builder // of each unfinished test, by package and name
	loud                    map[string]bool             // of those, the ones with something to tell even if they pass
	verdicts                []string                    // go test's closing line of each package
	passed, failed, skipped int
	failures                map[string]int // failed tests by package
	again                   []string       // for each, the command that repeats it
	broken                  int            // packages that failed without a failed test: no build, a panic, TestMain
}

// read takes in lines until the end. A line that is not JSON is printed.
func (s *summary) read(r io.Reader) error {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprint(s.out, string(line))
			} else {
				s.add(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// top returns the name of the test function that the event belongs to.
func (e event) top() string {
	name, _, _ := strings.Cut(e.Test, "/")
	return name
}

func (s *summary) add(e event) {
	key := e.Package + " " + e.top()
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		s.keep(key, e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.closePackage(e)
		} else if e.Test == e.top() {
			s.closeTest(key, e)
		} else if e.Action == "skip" {
			s.skipped++
			s.loud[key] = true
		}
	}
}

// keep stores output until it is known whether anybody wants to read it.
func (s *summary) keep(key string, e event) {
	if e.Test == "" && isVerdict(e.Output) {
		s.verdicts = append(s.verdicts, e.Output)
		return
	}
	b := s.output[key]
	if b == nil {
		b = new(strings.Builder)
		s.output[key] = b
	}
	b.WriteString(e.Output)
}

// isVerdict recognises go test's closing line of a package.
func isVerdict(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "?   \t")
}

func (s *summary) closeTest(key string, e event) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.failed++
		s.failures[e.Package]++
		s.again = append(s.again, fmt.Sprintf("%s failed after %.1f s; again: go test -race -count=10 -run '^%s$' %s", e.Test, e.Elapsed, e.Test, e.Package))
	case "skip":
		s.skipped++
	}
	if b := s.output[key]; b != nil && (e.Action != "pass" || s.loud[key]) {
		fmt.Fprint(s.out, b.String())
	}
	delete(s.output, key)
}

// closePackage prints what a failed package left unsaid: the output of tests
// that never ended, for example because of a panic.
func (s *summary) closePackage(e event) {
	failed := e.Action == "fail"
	if failed && s.failures[e.Package] == 0 {
		s.broken++
		s.again = append(s.again, fmt.Sprintf("%s failed without a failed test: it was not built, ended too early or never", e.Package))
	}
	for _, key := range slices.Sorted(maps.Keys(s.output)) {
		if !strings.HasPrefix(key, e.Package+" ") {
			continue
		}
		if failed {
			fmt.Fprint(s.out, s.output[key].String())
		}
		delete(s.output, key)
	}
}

// close prints the verdicts and the counts, and reports whether all is well.
func (s *summary) close() bool {
	for _, line := range s.verdicts {
		fmt.Fprint(s.out, line)
	}
	for _, line := range s.again {
		fmt.Fprintln(s.out, line)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil && len(s.again) > 0 {
		fmt.Fprintf(s.out, "the machine has %d CPUs and a load of %s", runtime.NumCPU(), load)
	}
	failed := s.failed + s.broken
	fmt.Fprintf(s.out, "%d passed, %d failed, %d skipped\n", s.passed, failed, s.skipped)
	return failed == 0 && s.passed > 0
}
