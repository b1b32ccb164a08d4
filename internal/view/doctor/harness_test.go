package doctor

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/config"
	"github.com/gatecast/gatecast/internal/standin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ward is a server as a test wants it.
type ward struct {
	sources  []*gatecast.Source
	state    gatecast.SourceState // of every source
	subs     []*gatecast.Subscription
	sub      gatecast.SubscriptionState // of every subscription
	kept     []gatecast.Quarantined
	extent   gatecast.Extent
	since    gatecast.Seq
	reasons  []string
	warnings []string

	hold  chan struct{} // holds up who asks for the extent, as a system call does that does not return
	asked atomic.Int32  // how often it was asked for its extent: once an examination
}

func (w *ward) Sources() []*gatecast.Source             { return w.sources }
func (w *ward) Subscriptions() []*gatecast.Subscription { return w.subs }
func (w *ward) Reasons() []string                       { return w.reasons }
func (w *ward) Warnings() []string                      { return w.warnings }

func (w *ward) List(context.Context, string, int) ([]gatecast.Quarantined, error) {
	return w.kept, nil
}

func (w *ward) Extent(context.Context) (gatecast.Extent, error) {
	w.asked.Add(1)
	if w.hold != nil {
		<-w.hold
	}
	return w.extent, nil
}

func (w *ward) Since(context.Context, time.Time) (gatecast.Seq, error) { return w.since, nil }

// states is a ward seen from its sources; a method can have one result only.
type states struct{ *ward }

func (s states) State(string) gatecast.SourceState { return s.state }

type deliveries struct{ *ward }

func (d deliveries) State(string) gatecast.SubscriptionState { return d.sub }

func (w *ward) doctor(t *testing.T, o Options) *Doctor {
	t.Helper()
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	o.Config = config.Default()
	o.Config.Ingest.TimeZone = "UTC"
	return New(Parts{
		Sources: w, States: states{w}, Subscriptions: w, Deliveries: deliveries{w}, Quarantine: w, Journal: w, Health: w,
	}, o)
}

// examine returns what is found of a source, all that is well included.
func (w *ward) examine(t *testing.T) []gatecast.Finding {
	t.Helper()
	d, err := w.doctor(t, Options{}).Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d.Findings
}

// want checks that a check has found something of a level that says so.
func want(t *testing.T, found []gatecast.Finding, check string, level gatecast.FindingLevel, subject, text, remedy string) {
	t.Helper()
	fits := func(f gatecast.Finding) bool {
		return f.Check == check && f.Level == level && f.Subject == subject && strings.Contains(f.Text, text) && strings.Contains(f.Remedy, remedy)
	}
	if !slices.ContainsFunc(found, fits) {
		t.Errorf("no finding %s %s %q with %q and %q in:\n%s", level, check, subject, text, remedy, list(found))
	}
}

// none checks that a check has found nothing of a source but what is well.
func none(t *testing.T, found []gatecast.Finding, subject string) {
	t.Helper()
	for _, f := range found {
		if f.Subject == subject && f.Level != gatecast.FindingOK {
			t.Errorf("%s %s: %s", f.Level, f.Check, f.Text)
		}
	}
}

func list(found []gatecast.Finding) string {
	var b strings.Builder
	for _, f := range found {
		b.WriteString(string(f.Level) + " " + f.Check + " " + f.Subject + ": " + f.Text + " > " + f.Remedy + "\n")
	}
	return b.String()
}

// vendor is a stand-in for a SenseLink server, and the source that is it.
func vendor(t *testing.T, o standin.Options) (*standin.Server, *gatecast.Source) {
	t.Helper()
	s := standin.New(o)
	srv := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); srv.Close() })
	return s, &gatecast.Source{Name: "gate", Settings: gatecast.SourceSettings{
		Kind: gatecast.SourceWebSocket, URL: "ws" + strings.TrimPrefix(srv.URL, "http"), AppKey: s.AppKey(), AppSecret: s.AppSecret(),
		REST: gatecast.SourceREST{URL: srv.URL, Zone: "UTC"},
	}.WithDefaults()}
}
