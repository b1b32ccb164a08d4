package mqtt

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestAMessageIsAcknowledgedWhenItsEventIsOnDisk(t *testing.T) {
	s := newSite(t, Options{})
	gate := make(chan struct{})
	s.gate = gate
	p := s.connect("gate", "door-1")
	p.send(publishPacket(1, 7, "gatecast/SPS-1/record", recordOf(41)))
	p.send([]byte{0xc0, 0}) // its answer comes behind the acknowledgement
	if got := s.stored(); got != nil {
		t.Fatalf("stored too early: %v", got)
	}
	close(gate)
	p.expect("40020007" + "d000")
	if diff := cmp.Diff([]string{"record:SPS-1:41"}, s.stored()); diff != "" {
		t.Error(diff)
	}
	e := s.events[0]
	if e.Source != "mqtt" || e.Device != "SPS-1" || e.Kind != gatecast.Record || !strings.Contains(string(e.Data), `"sn":"SPS-1"`) {
		t.Errorf("stored %+v with %s", e, e.Data)
	}
}
