package deliverylog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func subscription(n int) string { return fmt.Sprintf("sub_%016x", n) }

// attempt is the n-th one, told apart by its Seq.
func attempt(n int) gatecast.Attempt {
	return gatecast.Attempt{
		Time: time.Date(2026, 11, 24, 12, 0, 0, n, time.UTC), Seq: gatecast.Seq(n), Events: 1, Message: fmt.Sprintf("msg_%d", n),
		Try: 1, Status: 200, Took: time.Duration(n) * time.Millisecond, Outcome: gatecast.Delivered, Answer: []byte("ok"),
	}
}

func open(t testing.TB, o Options) *Log {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func flush(t testing.TB, l *Log) {
	t.Helper()
	if err := l.flush(); err != nil {
		t.Fatal(err)
	}
}

// read reads every page and returns the attempts, newest first.
func read(t testing.TB, l *Log, id string, q Query) []gatecast.Attempt {
	t.Helper()
	var all []gatecast.Attempt
	for {
		p, err := l.Read(context.Background(), id, q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p.Attempts...)
		if p.Next == "" {
			return all
		}
		q.Before = p.Next
	}
}

// seqs returns what tells attempts apart.
func seqs(all []gatecast.Attempt) []int {
	out := make([]int, 0, len(all))
	for _, a := range all {
		out = append(out, int(a.Seq))
	}
	return out
}

// down counts from one number down to another.
func down(from, to int) []int {
	out := []int{}
	for n := from; n >= to; n-- {
		out = append(out, n)
	}
	return out
}

func TestAnAttemptIsReadBackAsItWas(t *testing.T) {
	l := open(t, Options{})
	want := []gatecast.Attempt{
		{
			Time: time.Date(2026, 11, 24, 12, 0, 0, 123456789, time.UTC), Seq: 1 << 60, Events: 100, Message: "msg_\"\\\u2028<é>", Try: 17, Status: 503,
			Took: 4999 * time.Microsecond, Outcome: gatecast.Unreachable, Error: "no answer within 5s", Answer: []byte("try\nlater\t\"now\"é"), Replay: true,
		},
		{Time: time.Unix(0, 0).UTC(), Answer: []byte{0, 1, 0xff, '"', '\n'}},
		{Time: time.Unix(0, 0).UTC()},
	}
	for i := range want {
		l.Add(subscription(1), want[len(want)-1-i])
	}
	if diff := cmp.Diff(want, read(t, l, subscription(1), Query{})); diff != "" {
		t.Errorf("from memory:\n%s", diff)
	}
	flush(t, l)
	if diff := cmp.Diff(want, read(t, l, subscription(1), Query{})); diff != "" {
		t.Errorf("from the file:\n%s", diff)
	}
}

func TestWhatAnAnswerSaysIsCutToAKibibyte(t *testing.T) {
	l := open(t, Options{})
	a := attempt(1)
	a.Answer, a.Error, a.Message = bytes.Repeat([]byte{7}, 5000), strings.Repeat("é", 5000), "\xff\xfe"
	l.Add(subscription(1), a)
	got := read(t, l, subscription(1), Query{})[0]
	if len(got.Answer) != 1024 || got.Error != strings.Repeat("é", 256) || got.Message != "" {
		t.Errorf("answer of %d bytes, error of %d, message %q", len(got.Answer), len(got.Error), got.Message)
	}
}

func TestAddedAttemptsAreInTheFileAnIntervalLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, Options{Dir: dir, Interval: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		l.Add(subscription(1), attempt(1))
		synctest.Wait()
		file := filepath.Join(dir, subscription(1)+".ndjson")
		if _, err := os.Stat(file); err == nil {
			t.Error("there is a file before the interval has passed")
		}
		<-time.After(1100 * time.Millisecond) // simulated
		synctest.Wait()
		if b, err := os.ReadFile(file); err != nil || bytes.Count(b, []byte("\n")) != 1 {
			t.Errorf("the file holds %q (%v), want one line", b, err)
		}
		l.Add(subscription(1), attempt(2))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(file); err != nil || bytes.Count(b, []byte("\n")) != 2 {
			t.Errorf("after the end the file holds %q (%v), want two lines", b, err)
		}
	})
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	l := open(t, Options{Dir: dir})
	l.Add(subscription(1), attempt(1))
	flush(t, l)
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, subscription(1)+".ndjson"): 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v (%v), want %v", name, info.Mode().Perm(), err, want)
		}
	}
}

func TestAPageHasOneOutcomeAndSaysWhereTheNextBegins(t *testing.T) {
	l := open(t, Options{})
	for n := range 20 {
		a := attempt(n)
		if n%3 == 0 {
			a.Outcome = gatecast.Refused
		}
		l.Add(subscription(1), a)
		if n == 9 {
			flush(t, l)
		}
	}
	p, err := l.Read(t.Context(), subscription(1), Query{Outcome: gatecast.Refused, Limit: 3})
	if err != nil || p.Next == "" {
		t.Fatal(p.Next, err)
	}
	if diff := cmp.Diff([]int{18, 15, 12}, seqs(p.Attempts)); diff != "" {
		t.Error(diff)
	}
	l.Add(subscription(1), attempt(20)) // moves nothing
	p, err = l.Read(t.Context(), subscription(1), Query{Outcome: gatecast.Refused, Limit: 4, Before: p.Next})
	if err != nil || p.Next != "" {
		t.Fatalf("next is %q (%v), nothing is left", p.Next, err)
	}
	if diff := cmp.Diff([]int{9, 6, 3, 0}, seqs(p.Attempts)); diff != "" {
		t.Error(diff)
	}
}

func TestAQueryThatCannotStandIsRefused(t *testing.T) {
	l := open(t, Options{})
	for _, q := range []Query{{Limit: -1}, {Limit: 1001}, {Before: "x"}, {Before: "-1"}, {Before: "1.5"}} {
		if _, err := l.Read(t.Context(), subscription(1), q); gatecast.CodeOf(err) != gatecast.Invalid {
			t.Errorf("%+v: %v, want Invalid", q, err)
		}
	}
	if p, err := l.Read(t.Context(), subscription(1), Query{Limit: 1000}); err != nil || len(p.Attempts) != 0 || p.Next != "" {
		t.Errorf("nothing has been added: %+v, %v", p, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	l.Add(subscription(1), attempt(1))
	flush(t, l)
	if _, err := l.Read(canceled, subscription(1), Query{}); err == nil {
		t.Error("a canceled reader is answered")
	}
}

func TestOnlyIDsOfSubscriptionsBecomeFileNames(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: filepath.Join(dir, "log")})
	outside := filepath.Join(dir, "x.ndjson")
	if err := os.WriteFile(outside, []byte(`{"n":1}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "../x", "sub_../../../../../../x", "sub_0000000000000001/../../x", "sub_000000000000000G"} {
		l.Add(id, attempt(1))
		l.Forget(id)
		if _, err := l.Read(t.Context(), id, Query{}); gatecast.CodeOf(err) != gatecast.NotFound {
			t.Errorf("%q: %v, want NotFound", id, err)
		}
	}
	flush(t, l)
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	if n := testutil.ToFloat64(l.meters.invalid); n != 5 {
		t.Errorf("%v counted as invalid, want 5", n)
	}
}

func TestForgottenSubscriptionsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, MaxBytes: minBytes})
	for n := range 200 { // enough for two files
		l.Add(subscription(1), attempt(n))
		l.Add(subscription(2), attempt(n))
	}
	flush(t, l)
	l.Add(subscription(1), attempt(200))
	l.Forget(subscription(1))
	if got := read(t, l, subscription(1), Query{}); len(got) != 0 {
		t.Errorf("%d attempts are left", len(got))
	}
	if names, _ := filepath.Glob(filepath.Join(dir, subscription(1)+"*")); len(names) != 0 {
		t.Errorf("%v are left", names)
	}
	if n := testutil.ToFloat64(l.meters.buffered); n != 0 {
		t.Errorf("%v are buffered", n)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.Add(subscription(3), attempt(1))
	flush(t, l)
	l.Retain(func(id string) bool { return id == subscription(3) })
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if diff := cmp.Diff([]string{filepath.Join(dir, "notes.txt"), filepath.Join(dir, subscription(3)+".ndjson")}, names); diff != "" {
		t.Error(diff)
	}
	l.Add(subscription(1), attempt(7)) // the same ID once more
	if diff := cmp.Diff([]int{7}, seqs(read(t, l, subscription(1), Query{}))); diff != "" {
		t.Error(diff)
	}
}

func TestTheNewestAreDroppedWhenTooManyWait(t *testing.T) {
	l := open(t, Options{MaxBuffered: 10})
	for n := range 15 {
		l.Add(subscription(n%2), attempt(n))
	}
	if diff := cmp.Diff([]int{8, 6, 4, 2, 0}, seqs(read(t, l, subscription(0), Query{}))); diff != "" {
		t.Error(diff)
	}
	if n := testutil.ToFloat64(l.meters.full); n != 5 {
		t.Errorf("%v counted as dropped, want 5", n)
	}
	flush(t, l)
	l.Add(subscription(0), attempt(20))
	if diff := cmp.Diff([]int{20, 8, 6, 4, 2, 0}, seqs(read(t, l, subscription(0), Query{}))); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsHaveNamesThatStay(t *testing.T) {
	l := open(t, Options{})
	l.Add(subscription(1), attempt(1))
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(l.Metrics()...)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	want := []string{"gatecast_deliverylog_buffered", "gatecast_deliverylog_dropped_total", "gatecast_deliverylog_written_total"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestALogNeedsADirectoryAndRoom(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		o    Options
		code gatecast.Code
	}{
		{Options{}, gatecast.Invalid},
		{Options{Dir: t.TempDir(), MaxBytes: 1}, gatecast.Invalid},
		{Options{Dir: file}, gatecast.Unavailable},
		{Options{Dir: filepath.Join(file, "x")}, gatecast.Unavailable},
	} {
		if _, err := Open(want.o); err == nil || gatecast.CodeOf(err) != want.code {
			t.Errorf("%+v: %v, want %v", want.o, err, want.code)
		}
	}
}
