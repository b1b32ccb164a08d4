package gatecast

import "testing"

func TestIDsOfASourcesEventsAreKnown(t *testing.T) {
	for id, want := range map[string]bool{
		UpstreamID("hq", Record, 5, 0, nil): true, UpstreamID("hq", Alarm, 5, 2, nil): true, UpstreamID("hq", Record, 0, 0, []byte("x")): true,
		"record:SN:5": false, "alarm:5:1": false, "0196-uuid": false, "push:record:1": false, "": false, "Hq:record:5": false,
	} {
		if got := IsUpstreamID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
