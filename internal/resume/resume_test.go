package resume

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t *testing.T, query string) (Request, error) {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(q)
}

func TestParametersSayWhatAClientAsksFor(t *testing.T) {
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.FixedZone("", 9*3600))
	for query, want := range map[string]Request{
		"":                                  {},
		"token=x&Since=5":                   {},
		"since=5":                           {OptedIn: true, Since: Since{Kind: AfterSeq, Seq: 5}},
		"since=5&epoch=E":                   {OptedIn: true, Since: Since{Kind: AfterSeq, Seq: 5, Epoch: "E"}},
		"since=latest":                      {OptedIn: true, Since: Since{Kind: Latest}},
		"since=earliest":                    {OptedIn: true, Since: Since{Kind: Earliest}},
		"client=desk-1":                     {OptedIn: true, Client: "desk-1"},
		"seq=1":                             {OptedIn: true, Seq: true},
		"seq=0":                             {OptedIn: true},
		"ack=auto":                          {OptedIn: true},
		"ack=manual&seq=0":                  {OptedIn: true, Ack: true, Seq: true},
		"ack=manual&inflight=9":             {OptedIn: true, Ack: true, Seq: true, InFlight: 9},
		"kinds=30100,record&kinds=alarm":    {OptedIn: true, Filter: gatecast.Filter{Kinds: []gatecast.Kind{gatecast.Alarm, gatecast.Record}}},
		"sn=a&sn=b&sn=a&group=7&group=-1":   {OptedIn: true, Filter: gatecast.Filter{Devices: []string{"a", "b"}, Groups: []int64{7, -1}}},
		"since=2026-11-24T09:00:00%2B09:00": {OptedIn: true, Since: Since{Kind: AtTime, Time: at}},
		"since=2026-11-24T09:00:00+09:00":   {OptedIn: true, Since: Since{Kind: AtTime, Time: at}}, // "+" not escaped
	} {
		got, err := parse(t, query)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", query, err, diff)
		}
	}
}

func TestWrongParametersAreNamedWithWhatMayStandThere(t *testing.T) {
	many := func(name string, n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("&" + name + "=" + strconv.Itoa(i))
		}
		return b.String()[1:]
	}
	for query, name := range map[string]string{
		"since=": "since", "since=-1": "since", "since=1.5": "since", "since=2026-11-24": "since", "since=18446744073709551616": "since",
		"since=1&since=1": "since", "epoch=": "epoch", "epoch=E": "epoch", "since=latest&epoch=E": "epoch",
		"since=1&epoch=" + strings.Repeat("E", 65): "epoch",
		"client=": "client", "client=a/b": "client", "client=%E5%8F%97%E4%BB%98": "client", "client=" + strings.Repeat("a", 65): "client",
		"seq=": "seq", "seq=2": "seq", "ack=": "ack", "ack=none": "ack",
		"inflight=5": "inflight", "ack=manual&inflight=0": "inflight", "ack=manual&inflight=65537": "inflight", "ack=manual&inflight=x": "inflight",
		"kinds=": "kinds", "kinds=30000,": "kinds", "kinds=0": "kinds", "kinds=faces": "kinds",
		"sn=": "sn", "sn=" + strings.Repeat("s", 129): "sn", many("sn", MaxDevices+1): "sn",
		"group=": "group", "group=a": "group", "group=1.0": "group", many("group", MaxGroups+1): "group",
	} {
		_, err := parse(t, query)
		var e *gatecast.Error
		if !errors.As(err, &e) || e.Code != gatecast.Invalid || e.At.Path != name || e.Remedy == "" || e.At.Index != -1 {
			t.Errorf("%.60s: %v, want an Invalid error about %s with a remedy", query, err, name)
			continue
		}
		if len(e.Message) > 250 || !strings.HasPrefix(e.Message, "parameter "+name+" is ") {
			t.Errorf("%.60s: message of %d bytes: %.80s", query, len(e.Message), e.Message)
		}
	}
}

func TestAsManyDevicesAndGroupsAsAllowedAreTaken(t *testing.T) {
	q := url.Values{}
	for i := range MaxDevices {
		q.Add("sn", strconv.Itoa(i))
		q.Add("group", strconv.Itoa(i))
	}
	r, err := Parse(q)
	if err != nil || len(r.Filter.Devices) != MaxDevices || len(r.Filter.Groups) != MaxGroups || !r.Narrow() {
		t.Errorf("%v; %d devices and %d groups", err, len(r.Filter.Devices), len(r.Filter.Groups))
	}
}

// journal is a history in which event n was stored in second n, and of which
// the oldest may be gone.
type journal struct {
	extent gatecast.Extent
	fails  error
}

func (j journal) Extent(context.Context) (gatecast.Extent, error) { return j.extent, j.fails }

func (j journal) Since(_ context.Context, t time.Time) (gatecast.Seq, error) {
	after := gatecast.Seq(max(t.Unix()-1, 0))
	return min(max(after, j.extent.First-1), j.extent.Last), nil
}

func second(n int64) time.Time { return time.Unix(n, 0) }

func TestReaderBeginsWhereItWantsOrIsToldWhyNot(t *testing.T) {
	whole := gatecast.Extent{Epoch: "E", First: 1, Last: 100}
	rest := gatecast.Extent{Epoch: "E", First: 41, Last: 100}
	empty := gatecast.Extent{Epoch: "E", First: 101, Last: 100}
	notice := func(from, to gatecast.Seq, why gatecast.Reason) *gatecast.GapNotice {
		return &gatecast.GapNotice{From: from, To: to, Reason: why}
	}
	for _, c := range []struct {
		name   string
		extent gatecast.Extent
		since  Since
		edge   time.Time
		want   Start
	}{
		{"nothing said", rest, Since{}, time.Time{}, Start{After: 100}},
		{"latest", rest, Since{Kind: Latest}, second(90), Start{After: 100}},
		{"earliest", whole, Since{Kind: Earliest}, time.Time{}, Start{After: 0}},
		{"earliest that is left", rest, Since{Kind: Earliest}, time.Time{}, Start{After: 40}},
		{"earliest inside the window is no loss", rest, Since{Kind: Earliest}, second(91), Start{After: 90}},
		{"earliest of nothing", empty, Since{Kind: Earliest}, time.Time{}, Start{After: 100}},
		{"a position", rest, Since{Kind: AfterSeq, Seq: 60}, time.Time{}, Start{After: 60}},
		{"of this epoch", rest, Since{Kind: AfterSeq, Seq: 60, Epoch: "E"}, time.Time{}, Start{After: 60}},
		{"right before the oldest", rest, Since{Kind: AfterSeq, Seq: 40}, time.Time{}, Start{After: 40}},
		{"the newest", rest, Since{Kind: AfterSeq, Seq: 100}, time.Time{}, Start{After: 100}},
		{"gone", rest, Since{Kind: AfterSeq, Seq: 39}, time.Time{}, Start{After: 40, Gap: notice(39, 40, gatecast.GapRetention)}},
		{"all gone", empty, Since{Kind: AfterSeq, Seq: 39}, time.Time{}, Start{After: 100, Gap: notice(39, 100, gatecast.GapRetention)}},
		{"beyond the end", rest, Since{Kind: AfterSeq, Seq: 101}, time.Time{}, Start{After: 40, Gap: notice(101, 40, gatecast.GapAhead)}},
		{"of another epoch", rest, Since{Kind: AfterSeq, Seq: 60, Epoch: "F"}, time.Time{}, Start{After: 40, Gap: notice(60, 40, gatecast.GapEpoch)}},
		{"inside the window", rest, Since{Kind: AfterSeq, Seq: 60}, second(61), Start{After: 60}},
		{"before the window", rest, Since{Kind: AfterSeq, Seq: 60}, second(71), Start{After: 70, Gap: notice(60, 70, gatecast.GapWindow)}},
		{"gone and before the window", rest, Since{Kind: AfterSeq, Seq: 10}, second(71), Start{After: 70, Gap: notice(10, 70, gatecast.GapRetention)}},
		{"another epoch and before the window", rest, Since{Kind: AfterSeq, Seq: 60, Epoch: "F"}, second(71), Start{After: 70, Gap: notice(60, 70, gatecast.GapEpoch)}},
		{"window after the end", rest, Since{Kind: AfterSeq, Seq: 60}, second(500), Start{After: 100, Gap: notice(60, 100, gatecast.GapWindow)}},
		{"a time", rest, Since{Kind: AtTime, Time: second(61)}, time.Time{}, Start{After: 60}},
		{"a time to come", rest, Since{Kind: AtTime, Time: second(500)}, time.Time{}, Start{After: 100}},
		{"a time of which something may be gone", rest, Since{Kind: AtTime, Time: second(10)}, time.Time{}, Start{After: 40, Gap: notice(0, 40, gatecast.GapRetention)}},
		{"a time before everything", whole, Since{Kind: AtTime, Time: second(-10)}, time.Time{}, Start{After: 0}},
		{"a time before the window", whole, Since{Kind: AtTime, Time: second(11)}, second(71), Start{After: 70, Gap: notice(10, 70, gatecast.GapWindow)}},
	} {
		got, err := Begin(t.Context(), journal{extent: c.extent}, c.since, c.edge)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func TestJournalThatCannotBeReadIsAnErrorAndNoStart(t *testing.T) {
	down := errors.New("no leader")
	if _, err := Begin(t.Context(), journal{fails: down}, Since{Kind: Earliest}, time.Time{}); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
}

// TestNothingInsideTheBoundsIsSkipped holds the rule against its reason: what
// the journal has, what is not older than the edge and comes after what the
// reader has, is sent.
func TestNothingInsideTheBoundsIsSkipped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := gatecast.Seq(rapid.Uint64Range(1, 50).Draw(t, "first"))
		last := first - 1 + gatecast.Seq(rapid.Uint64Range(0, 50).Draw(t, "held"))
		j := journal{extent: gatecast.Extent{Epoch: "E", First: first, Last: last}}
		since := Since{Kind: AfterSeq, Seq: gatecast.Seq(rapid.Uint64Range(0, 120).Draw(t, "seq")), Epoch: rapid.SampledFrom([]string{"", "E", "F"}).Draw(t, "epoch")}
		var edge time.Time
		if rapid.Bool().Draw(t, "bounded") {
			edge = second(rapid.Int64Range(1, 130).Draw(t, "edge"))
		}
		start, err := Begin(context.Background(), j, since, edge)
		if err != nil {
			t.Fatal(err)
		}
		known := since.Epoch != "F" && since.Seq <= last
		for seq := first; seq <= last; seq++ {
			owed := !(known && seq <= since.Seq) && !(!edge.IsZero() && seq < gatecast.Seq(edge.Unix()))
			if owed != (seq > start.After) {
				t.Fatalf("event %d is owed: %v, but the reader begins after %d", seq, owed, start.After)
			}
		}
		lost := start.After > since.Seq || !known
		if (start.Gap != nil) != lost || lost && (start.Gap.From != since.Seq || start.Gap.To != start.After) {
			t.Fatalf("begins after %d, wanted %d, told %+v", start.After, since.Seq, start.Gap)
		}
	})
}
