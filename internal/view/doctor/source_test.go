package doctor

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/standin"
)

func connecting(src *gatecast.Source) *ward {
	return &ward{
		sources: []*gatecast.Source{src},
		state:   gatecast.SourceState{Status: gatecast.SourceConnecting, Reason: "for the test", Statement: gatecast.Statement{Through: time.Now()}},
	}
}

func TestAHealthySourceIsReachedLetsUsInAnswersAndHasOurClockAndZone(t *testing.T) {
	for _, style := range []gatecast.RESTStyle{gatecast.RESTv4, gatecast.RESTv5} {
		s, src := vendor(t, standin.Options{})
		if _, err := s.Add(gatecast.Record, standin.SampleRecord(1, time.Now().Add(-time.Hour))); err != nil {
			t.Fatal(err)
		}
		src.Settings.REST.Style = style
		w := connecting(src)
		w.state.Status = gatecast.SourceLive
		found := w.examine(t)
		none(t, found, "gate")
		want(t, found, "reach", gatecast.FindingOK, "gate", src.Settings.URL+" answers in", "")
		want(t, found, "reach", gatecast.FindingOK, "gate", src.Settings.REST.URL+" answers in", "")
		want(t, found, "skew", gatecast.FindingOK, "gate", "its clock is ours", "")
		want(t, found, "login", gatecast.FindingOK, "gate", "has let gatecast in", "")
		want(t, found, "signature", gatecast.FindingOK, "gate", string(style), "")
		want(t, found, "times", gatecast.FindingOK, "gate", "UTC", "")
		if n := s.Connections(); n != 0 {
			t.Errorf("%d logins at a server that has let us in already", n)
		}
	}
}

func TestASourceThatIsNotConnectedIsLoggedInAtOnceAMinute(t *testing.T) {
	_, src := vendor(t, standin.Options{})
	w := connecting(src)
	now := time.Now()
	d := w.doctor(t, Options{Now: func() time.Time { return now }})
	for i, wanted := range []bool{true, false, true} {
		got, err := d.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(list(got.Findings), "ok login gate: its server lets gatecast in"); has != wanted {
			t.Errorf("examination %d: logged in %v\n%s", i, has, list(got.Findings))
		}
		now = now.Add(30*time.Second + time.Millisecond)
	}
}

func TestAWrongClockOfASourceIsTold(t *testing.T) {
	for by, level := range map[time.Duration]gatecast.FindingLevel{
		20 * time.Second: gatecast.FindingNote, -5 * time.Minute: gatecast.FindingWarn, 2 * time.Hour: gatecast.FindingBad, -2 * time.Hour: gatecast.FindingBad,
	} {
		s, src := vendor(t, standin.Options{})
		if err := s.Misbehave(standin.Misbehaviour{Mode: standin.Clock, By: by}); err != nil {
			t.Fatal(err)
		}
		found := connecting(src).examine(t)
		side := "ahead of"
		if by < 0 {
			side = "behind"
		}
		want(t, found, "skew", level, "gate", side+" ours", "NTP")
		if by.Abs() > time.Hour {
			want(t, found, "login", gatecast.FindingBad, "gate", "20002", "set the clocks")
			want(t, found, "signature", gatecast.FindingBad, "gate", "expired", "set the clocks")
		}
	}
}

func TestWrongCredentialsAreTold(t *testing.T) {
	for name, v := range map[string]struct {
		spoil  func(*gatecast.SourceSettings)
		remedy string
	}{
		"secret": {func(s *gatecast.SourceSettings) { s.AppSecret = "another" }, "the secret is not that of this app key: gatecast source update gate --app-secret @FILE"},
		"key":    {func(s *gatecast.SourceSettings) { s.AppKey = "another" }, "the server has no such app"},
	} {
		t.Run(name, func(t *testing.T) {
			_, src := vendor(t, standin.Options{})
			v.spoil(&src.Settings)
			found := connecting(src).examine(t)
			want(t, found, "reach", gatecast.FindingOK, "gate", src.Settings.URL, "")
			want(t, found, "login", gatecast.FindingBad, "gate", "20002", v.remedy)
			want(t, found, "signature", gatecast.FindingBad, "gate", "does not answer as it should", v.remedy)
			if text := list(found); strings.Contains(text, src.Settings.AppSecret) && name == "key" {
				t.Errorf("the secret is told:\n%s", text)
			}
		})
	}
}

func TestAServerThatCountsLoginsIsLeftAlone(t *testing.T) {
	s, src := vendor(t, standin.Options{})
	if err := s.Misbehave(standin.Misbehaviour{Mode: standin.Logins, N: 1}); err != nil {
		t.Fatal(err)
	}
	none(t, loginsOf(connecting(src).examine(t)), "gate")
	want(t, connecting(src).examine(t), "login", gatecast.FindingBad, "gate", "login too frequent", "wait")
}

func loginsOf(found []gatecast.Finding) (logins []gatecast.Finding) {
	for _, f := range found {
		if f.Check == "login" {
			logins = append(logins, f)
		}
	}
	return logins
}

func TestAServerThatIsDownIsToldWithTheStepAtWhichItEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	src := &gatecast.Source{Name: "gate", Settings: gatecast.SourceSettings{
		URL: "ws://" + address, AppKey: "k", AppSecret: "s", REST: gatecast.SourceREST{URL: "http://" + address},
	}.WithDefaults()}
	found := connecting(src).examine(t)
	want(t, found, "reach", gatecast.FindingBad, "gate", "ws://"+address+" cannot be reached: connection refused", "start the server")
	want(t, found, "reach", gatecast.FindingBad, "gate", "http://"+address+" cannot be reached: connection refused", "start the server")
	want(t, found, "source", gatecast.FindingBad, "gate", "it is not connected: for the test", "gatecast source show gate")

	_, src = vendor(t, standin.Options{})
	src.Settings.URL = "wss" + strings.TrimPrefix(src.Settings.URL, "ws")
	want(t, connecting(src).examine(t), "reach", gatecast.FindingBad, "gate", "it speaks no TLS on that port", "ws://")

	s, src := vendor(t, standin.Options{})
	if err := s.Misbehave(standin.Misbehaviour{Mode: standin.Restart, For: time.Hour}); err != nil {
		t.Fatal(err)
	}
	want(t, connecting(src).examine(t), "reach", gatecast.FindingBad, "gate", "ends it without an answer", "wants TLS")
}

func TestWhatTheRESTInterfaceAnswersIsTold(t *testing.T) {
	for mode, v := range map[standin.Mode]struct{ check, text, remedy string }{
		standin.REST500: {"signature", "it answers HTTP 500", "--rest-style v4"},
		standin.REST498: {"signature", "498 Param Invalid system busy", "check key and secret"},
		standin.RESTCut: {"reach", "ends it without an answer", "server's own log"},
	} {
		t.Run(string(mode), func(t *testing.T) {
			s, src := vendor(t, standin.Options{})
			if err := s.Misbehave(standin.Misbehaviour{Mode: mode}); err != nil {
				t.Fatal(err)
			}
			want(t, connecting(src).examine(t), v.check, gatecast.FindingBad, "gate", v.text, v.remedy)
		})
	}
}

func TestAWrongZoneIsFoundByARecord(t *testing.T) {
	zone := time.FixedZone("there", 9*60*60)
	for set, v := range map[string]struct {
		level        gatecast.FindingLevel
		text, remedy string
	}{
		"Asia/Tokyo":       {gatecast.FindingOK, "Asia/Tokyo", ""},
		"UTC":              {gatecast.FindingBad, "9h0m0s off, as in Asia/Tokyo", "--rest-zone Asia/Tokyo"},
		"America/New_York": {gatecast.FindingBad, "America/New_York", "--rest-zone"},
	} {
		t.Run(set, func(t *testing.T) {
			s, src := vendor(t, standin.Options{Zone: zone})
			for i := range 5 {
				if _, err := s.Add(gatecast.Record, standin.SampleRecord(i, time.Now().Add(-time.Duration(i)*9*time.Hour))); err != nil {
					t.Fatal(err)
				}
			}
			src.Settings.REST.Zone = set
			want(t, connecting(src).examine(t), "times", v.level, "gate", v.text, v.remedy)
		})
	}
	_, src := vendor(t, standin.Options{})
	want(t, connecting(src).examine(t), "times", gatecast.FindingNote, "gate", "no record", "by hand")
}

func TestHowASourceStandsIsTold(t *testing.T) {
	set := gatecast.SourceSettings{REST: gatecast.SourceREST{URL: "http://x"}}
	for _, v := range []struct {
		paused string
		state  gatecast.SourceState
		level  gatecast.FindingLevel
		text   string
		remedy string
	}{
		{"moved", gatecast.SourceState{Status: gatecast.SourcePaused}, gatecast.FindingNote, "paused: moved", "source resume gate"},
		{"", gatecast.SourceState{Status: gatecast.SourceLive}, gatecast.FindingOK, "live", ""},
		{"", gatecast.SourceState{Status: gatecast.SourceStalled}, gatecast.FindingWarn, "does not push", "restart"},
		{"", gatecast.SourceState{Status: gatecast.SourceRefused, Reason: "sign wrong"}, gatecast.FindingBad, "sign wrong", "--app-secret"},
		{"", gatecast.SourceState{Status: gatecast.SourceConnecting}, gatecast.FindingBad, "not connected", "source show gate"},
		{"", gatecast.SourceState{Status: gatecast.SourceWaiting, Reason: "nothing was posted by the server yet"}, gatecast.FindingWarn, "nothing", "source subscribe gate"},
		{"", gatecast.SourceState{Status: gatecast.SourceWaiting, Reason: "its latest post was refused"}, gatecast.FindingBad, "refused", "source subscribe gate"},
	} {
		src := &gatecast.Source{Name: "gate", Paused: v.paused, Settings: set}
		want(t, judgeState(src, v.state), "source", v.level, "gate", v.text, v.remedy)
	}
	src := &gatecast.Source{Name: "gate", Settings: set}
	want(t, judgeStatement(src, gatecast.Statement{Error: "no answer"}), "complete", gatecast.FindingWarn, "gate", "no answer", "reconcile gate")
	want(t, judgeStatement(src, gatecast.Statement{Lost: 7}), "complete", gatecast.FindingWarn, "gate", "7 of its events", "--rest-every")
	want(t, judgeStatement(src, gatecast.Statement{}), "complete", gatecast.FindingNote, "gate", "nothing can be said", "reconcile gate")
	want(t, judgeStatement(src, gatecast.Statement{Through: time.Now()}), "complete", gatecast.FindingOK, "gate", "is here", "")
	src.Settings.REST.URL = ""
	want(t, judgeStatement(src, gatecast.Statement{}), "complete", gatecast.FindingNote, "gate", "nobody can say", "--rest URL")
}
