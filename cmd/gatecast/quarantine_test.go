package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestWhatCouldNotBeUnderstoodIsATableAndCanBeReadAsItCame(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	status, out, errs := s.run("quarantine", "list")
	if status != 0 || out != "" || !strings.Contains(errs, "Everything was understood") {
		t.Errorf("nothing kept: status %d, %s%s", status, out, errs)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	s.other.kept = []gatecast.Quarantined{
		{ID: "q2", At: at.Add(time.Hour), Source: "office", Reason: "no \x1b[31mdata", Size: 2048, Truncated: true, Count: 3, Body: []byte("{\"a\xff\":\n1}")},
		{ID: "q1", At: at, Source: "yard", Reason: "not JSON", Size: 3, Body: []byte("abc")},
	}
	_, out, _ = s.run("quarantine", "list")
	want := `ID  CAME                 TIMES  SOURCE  SIZE     REASON
q2  2026-01-02 04:04:05  3      office  2.0 KiB  no �[31mdata
q1  2026-01-02 03:04:05  1      yard    3 B      not JSON
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	_, out, errs = s.run("quarantine", "list", "--limit", "1")
	if strings.Contains(out, "yard") || !strings.Contains(errs, "--before q2\n") {
		t.Errorf("a page: %s%s", out, errs)
	}
	if _, out, _ = s.run("quarantine", "list", "--before", "q2"); strings.Contains(out, "office") || !strings.Contains(out, "yard") {
		t.Errorf("the next page: %s", out)
	}
	_, out, _ = s.run("quarantine", "show", "q2")
	want = `id       q2
source   office
came     2026-01-02 04:04:05
times    3
reason   no �[31mdata
size     2.0 KiB, of which the beginning was kept
message  {"a�":�1}
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	for _, q := range s.other.kept {
		if _, out, _ = s.run("quarantine", "show", q.ID, "--body"); out != string(q.Body) {
			t.Errorf("%s byte for byte: %q", q.ID, out)
		}
	}
	if _, out, _ = s.run("quarantine", "show", "q1", "--json"); !strings.Contains(out, `"body": "abc"`) {
		t.Errorf("as JSON: %s", out)
	}
}

func TestAMessageIsCorrectedInjectedOrDropped(t *testing.T) {
	s := newSite(t, httptest.NewServer)
	keep := func() {
		s.other.kept = []gatecast.Quarantined{
			{ID: "good", Body: []byte(`{"eventType":30000}`)}, {ID: "bad", Body: []byte(`{"typ":30000}`)}, {ID: "long", Truncated: true, Body: []byte(`{`)},
		}
	}
	keep()
	if status, out, errs := s.run("quarantine", "inject", "good"); status != 0 || out != "accepted 1, duplicates 2\n" || len(s.other.kept) != 2 {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
	for id, want := range map[string]string{"bad": "gatecast: it is still not understood", "long": "gatecast: only the beginning of it was kept"} {
		if status, _, errs := s.run("quarantine", "inject", id); status != exitFailed || !strings.HasPrefix(errs, want) {
			t.Errorf("%s: status %d, %s", id, status, errs)
		}
	}
	keep()
	file := filepath.Join(t.TempDir(), "message.json")
	const corrected = `{"eventType":30000,"data":{"id":1.0}}`
	if err := os.WriteFile(file, []byte(corrected+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for id, run := range map[string]func() (int, string, string){
		"bad": func() (int, string, string) { return s.run("quarantine", "inject", "bad", "--file", file) },
		"long": func() (int, string, string) {
			return s.runWith(corrected, "quarantine", "inject", "long", "--file", "-", "--json")
		},
	} {
		status, out, errs := run()
		if status != 0 || s.other.injected != corrected || !strings.Contains(out, "accepted") {
			t.Errorf("%s: status %d, %s%s, injected %s", id, status, out, errs, s.other.injected)
		}
	}
	if status, _, errs := s.runWith("{", "quarantine", "inject", "good", "--file", "-"); status != exitUsage || !strings.Contains(errs, "does not hold JSON") {
		t.Errorf("no JSON: status %d, %s", status, errs)
	}
	if status, out, _ := s.run("quarantine", "drop", "good"); status != 0 || out != "deleted good\n" || len(s.other.kept) != 0 {
		t.Errorf("dropped: status %d, %s, left %+v", status, out, s.other.kept)
	}
	for _, command := range []string{"show", "inject", "drop"} {
		if status, _, errs := s.run("quarantine", command, "good"); status != exitNotFound {
			t.Errorf("%s of none: status %d, %s", command, status, errs)
		}
	}
}
