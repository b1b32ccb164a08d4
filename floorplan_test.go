package gatecast_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/gatecast/gatecast"

// room is one row of ARCHITECTURE.md's table of floors.
type room struct {
	level      int
	thirdParty []string
}

// floors reads the table out of ARCHITECTURE.md, so that picture and code
// cannot drift apart.
func floors(t *testing.T) map[string]room {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rooms := make(map[string]room)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 {
			continue
		}
		level, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil {
			continue
		}
		name := strings.Trim(strings.TrimSpace(cells[2]), "`")
		var third []string
		for m := range strings.SplitSeq(cells[4], ",") {
			if m = strings.TrimSpace(m); m != "" {
				third = append(third, m)
			}
		}
		rooms[path(name)] = room{level, third}
	}
	if len(rooms) < 10 {
		t.Fatalf("found only %d rows in ARCHITECTURE.md's table of floors", len(rooms))
	}
	return rooms
}

func path(name string) string {
	if name == "." {
		return module
	}
	return module + "/" + name
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestEveryPackageStandsOnAFloorOfTheTable(t *testing.T) {
	rooms := floors(t)
	seen := make(map[string]bool)
	for _, p := range packages(t) {
		seen[p.ImportPath] = true
		if _, ok := rooms[p.ImportPath]; !ok {
			t.Errorf("%s has no row in ARCHITECTURE.md's table of floors", p.ImportPath)
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("ARCHITECTURE.md's table of floors has a row for %s, which does not exist", name)
		}
	}
}

func TestImportsOnlyPointDown(t *testing.T) {
	rooms := floors(t)
	for _, p := range packages(t) {
		from := rooms[p.ImportPath]
		for _, imp := range p.Imports {
			to, ours := rooms[imp]
			if !ours {
				continue
			}
			if to.level >= from.level {
				t.Errorf("%s (level %d) imports %s (level %d): only lower levels may be imported", p.ImportPath, from.level, imp, to.level)
			}
			if from.level >= 2 && from.level <= 4 && to.level > 1 {
				t.Errorf("%s imports its neighbour %s: declare an interface over root types and let internal/app hand it in", p.ImportPath, imp)
			}
		}
	}
}

func TestThirdPartyModulesStayInTheirRooms(t *testing.T) {
	rooms := floors(t)
	testing := []string{"github.com/google/go-cmp", "pgregory.net/rapid", "go.uber.org/goleak", "github.com/rogpeppe/go-internal"}
	for _, p := range packages(t) {
		here := rooms[p.ImportPath]
		allowed := slices.Clone(here.thirdParty)
		if here.level > 0 {
			allowed = append(allowed, "github.com/go-json-experiment/json")
		}
		if here.level > 1 {
			allowed = append(allowed, "github.com/prometheus/client_golang")
		}
		if strings.HasSuffix(p.ImportPath, "test") {
			allowed = append(allowed, testing...)
		}
		for _, imp := range p.Imports {
			if foreign(imp) && !covered(imp, allowed) {
				t.Errorf("%s imports %s, which its row of ARCHITECTURE.md does not allow", p.ImportPath, imp)
			}
		}
	}
}

// foreign reports whether an import is neither ours nor the standard library's.
func foreign(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return strings.Contains(first, ".") && imp != module && !strings.HasPrefix(imp, module+"/")
}

func covered(imp string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") })
}
