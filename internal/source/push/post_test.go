package push

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
)

func TestTheLatestPostIsToldWithWhatWasMadeOfIt(t *testing.T) {
	now := time.Unix(1_700_000_100, 0)
	s := newSite(Options{Now: func() time.Time { return now }})
	if p := s.State("office").Post; p != nil {
		t.Errorf("before the first: %+v", p)
	}
	const alarm = `{"eventType":30100,"data":{"id":9,"status":2,"deviceSn":"SPS-7"}}`
	s.post(alarm)
	want := gatecast.SourcePost{
		At: now, From: "192.0.2.1:1234", Size: len(alarm), Events: 1, Accepted: 1, First: 41, Kind: gatecast.Alarm, Device: "SPS-7",
	}
	if diff := cmp.Diff(&want, s.State("office").Post); diff != "" {
		t.Error(diff)
	}
	now = now.Add(time.Minute)
	s.post(`{"eventType":30000,"data":{"id":8,"companyId":8}}`)
	if p := s.State("office").Post; p.Events != 0 || p.Error != "" || !p.At.Equal(now) {
		t.Errorf("of another company: %+v", p)
	}
	s.post(`no JSON`)
	if p := s.State("office").Post; p.Error == "" || !p.Quarantined || p.Size != 7 {
		t.Errorf("rubbish: %+v", p)
	}
	s.sources.office.Paused = "moved"
	s.post(alarm)
	if p := s.State("office").Post; p.Error == "" || p.Quarantined {
		t.Errorf("while it is paused: %+v", p)
	}
}

func TestWhatIsInjectedWasPostedByNobody(t *testing.T) {
	s := newSite(Options{})
	if _, err := s.Inject(t.Context(), gatecast.Quarantined{Source: "office", Body: []byte(numbered)}); err != nil {
		t.Fatal(err)
	}
	if p := s.State("office").Post; p != nil {
		t.Errorf("%+v", p)
	}
}
