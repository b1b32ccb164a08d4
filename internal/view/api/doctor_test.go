package api_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// practice is a doctor that has found something already.
type practice struct {
	found gatecast.Diagnosis
	err   error
}

func (p *practice) Examine(context.Context) (gatecast.Diagnosis, error) { return p.found, p.err }

func TestFindingsAreShownToAdministratorsAlone(t *testing.T) {
	w := newWorld(t)
	w.doctor.found = gatecast.Diagnosis{
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("JST", 9*60*60)), Took: 1234567 * time.Microsecond,
		Findings: []gatecast.Finding{
			{Check: "disk", Level: gatecast.FindingBad, Subject: "/data", Text: "only \xff 3 B are free", Remedy: "free some space"},
			{Check: "zone", Level: gatecast.FindingOK, Text: "times are read in UTC"},
		},
	}
	const path = "/api/v1/doctor"
	w.want(w.do("GET", path, ""), 200, `{"at":"2026-01-01T18:04:05Z","took":"1.235s","version":"dev","findings":[`+
		`{"check":"disk","level":"bad","subject":"/data","text":"only � 3 B are free","remedy":"free some space"},`+
		`{"check":"zone","level":"ok","subject":"","text":"times are read in UTC","remedy":""}]}`)
	for _, scope := range []auth.Scope{auth.Read, auth.Ingest} {
		w.refused(w.as(scope, "GET", path, ""), 403, "forbidden", "")
	}
}

func TestADoctorWhoRestsIsToBeAskedLater(t *testing.T) {
	w := newWorld(t)
	e := gatecast.Errorf(gatecast.TooMany, "an examination was broken off a moment ago")
	e.Remedy, e.Retry = "try again in a few seconds", 7*time.Second
	w.doctor.err = e
	a := w.do("GET", "/api/v1/doctor", "")
	w.refused(a, 429, "too_many", "")
	if got := a.header.Get("Retry-After"); got != "7" {
		t.Errorf("Retry-After = %q", got)
	}
}
