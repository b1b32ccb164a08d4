package quarantine

import (
	"fmt"
	"testing"
)

func TestWhoSendsMuchRubbishPushesOutItsOwn(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), MaxItems: 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		s.Put("hq", "why", fmt.Appendf(nil, "hq %d", i))
	}
	for i := range 100 {
		s.Put(fmt.Sprintf("mqtt:SN-%d", i), "why", fmt.Appendf(nil, "mqtt %d", i))
	}
	of := make(map[string]int)
	list, err := s.List(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range list {
		of[it.Source]++
	}
	if of["hq"] != 2 || len(list) != 10 {
		t.Errorf("kept: %v", of)
	}
}
