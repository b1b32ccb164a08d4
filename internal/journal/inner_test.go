package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"
)

func TestAlmostFullDiskRefusesAndHeals(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	j, err := Open(t.Context(), Options{Dir: t.TempDir(), Check: Check{
		Every: time.Hour, LowDisk: 1 << 20,
		free: func(string) (int64, error) { return free.Load(), nil },
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close(context.Background()) }()
	one := func(id string) error {
		_, err := j.Append(t.Context(), []gatecast.Event{{ID: id, Data: []byte("{}")}})
		return err
	}
	if err := errors.Join(one("a"), j.Healthy()); err != nil {
		t.Fatalf("with space: %v", err)
	}
	free.Store(1<<20 - 1)
	j.health.poll(t.Context())
	var e *gatecast.Error
	if err := one("b"); !errors.As(err, &e) || e.Code != gatecast.Unavailable || e.Retry == 0 || !strings.HasPrefix(e.Message, "disk") {
		t.Errorf("without space: %v", err)
	}
	if err := j.Healthy(); gatecast.CodeOf(err) != gatecast.Unavailable || err == nil {
		t.Errorf("Healthy without space: %v", err)
	}
	free.Store(1 << 20)
	j.health.poll(t.Context())
	if err := errors.Join(one("b"), j.Healthy()); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

// TestAStreamThatIsBeingMadeIsNoFault: until it is made, the server takes it for
// one that it could not read back.
func TestAStreamThatIsBeingMadeIsNoFault(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(t.Context(), Options{Dir: dir, Check: Check{Every: time.Hour, LowDisk: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close(context.Background()) }()
	half := filepath.Join(dir, "jetstream", "jetstream", "$G", "streams", "KV_half_made")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for after, fine := range map[time.Duration]bool{0: true, making - time.Second: true, making: false} {
		j.health.odd = time.Time{}
		_ = j.health.serves(now)
		if err := j.health.serves(now.Add(after)); (err == nil) != fine {
			t.Errorf("after %v: %v", after, err)
		}
	}
	if err := os.Remove(half); err != nil {
		t.Fatal(err)
	}
	if err := j.health.serves(now.Add(making)); err != nil {
		t.Errorf("when it is gone: %v", err)
	}
	if err := j.health.serves(now.Add(2 * making)); err != nil {
		t.Errorf("later: %v", err)
	}
}

// TestNothingIsShownBeforeItIsCommitted watches the stream from below: what
// JetStream shows its own consumers early must not reach our readers before
// the acknowledgement has moved the committed end.
func TestNothingIsShownBeforeItIsCommitted(t *testing.T) {
	j, err := Open(t.Context(), Options{Dir: t.TempDir(), Check: Check{LowDisk: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close(context.Background()) }()
	// A message that is in the stream, but whose acknowledgement nobody got.
	raw := encode(&gatecast.Event{ID: "early", Stored: time.Now()})
	if _, err := j.link.js.PublishMsg(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	if events, err := j.Read(t.Context(), 0, 10); err != nil || len(events) != 0 {
		t.Errorf("Read shows %d events beyond the committed end, %v", len(events), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for e, err := range j.Follow(ctx, 0) {
		if err == nil {
			t.Errorf("Follow shows event %d beyond the committed end", e.Seq)
		}
	}
}

// TestACommitInDoubtIsSettled stores an event behind the committer's back, as
// a commit whose acknowledgement was lost does, and sends it again.
func TestACommitInDoubtIsSettled(t *testing.T) {
	for _, together := range []int{1, 3} {
		t.Run(fmt.Sprint(together), func(t *testing.T) {
			j, err := Open(t.Context(), Options{Dir: t.TempDir(), Check: Check{LowDisk: -1}})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = j.Close(context.Background()) }()
			if _, err := j.link.js.PublishMsg(t.Context(), encode(&gatecast.Event{ID: "0", Stored: time.Now()})); err != nil {
				t.Fatal(err)
			}
			var events []gatecast.Event
			for i := range together {
				events = append(events, gatecast.Event{ID: fmt.Sprint(i)})
			}
			r, err := j.Append(t.Context(), events)
			if err != nil || r.Accepted+r.Duplicates != together {
				t.Errorf("Append: %+v, %v", r, err)
			}
			got, err := j.Read(t.Context(), 0, 10)
			if err != nil || len(got) != together {
				t.Errorf("%d events stored, %v, want %d", len(got), err, together)
			}
		})
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	q := newQueue(Commit{Queue: 1000, Events: 10, Bytes: 10, Wait: time.Second})
	if err := q.add(&call{size: 5000}); err != nil {
		t.Errorf("a large call into an empty queue: %v", err)
	}
	if err := q.add(&call{size: 1}); gatecast.CodeOf(err) != gatecast.Unavailable || err == nil {
		t.Errorf("a full queue: %v, want unavailable", err)
	}
	if calls, _ := q.take(); len(calls) != 1 {
		t.Errorf("took %d calls, want 1", len(calls))
	}
	if err := q.add(&call{size: 1}); err != nil {
		t.Errorf("an emptied queue: %v", err)
	}
}

func TestEncodingIsLosslessAndNoticesEveryChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := gatecast.Event{
			Seq: 1, ID: rapid.StringN(1, 40, 128).Draw(t, "id"), Kind: gatecast.Kind(rapid.Int().Draw(t, "kind")),
			Device: rapid.String().Draw(t, "device"), Source: rapid.String().Draw(t, "source"),
			Groups: rapid.SliceOf(rapid.Int64()).Draw(t, "groups"), Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
			Stored: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "stored")).UTC(), Late: rapid.Bool().Draw(t, "late"),
		}
		if rapid.Bool().Draw(t, "timed") {
			e.At = time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "at"), 0).UTC()
		}
		m := encode(&e)
		if strings.ContainsAny(m.Subject, " *>\r\n") || strings.Count(m.Subject, ".") != 3 {
			t.Fatalf("subject %q", m.Subject)
		}
		wire, err := nats.DecodeHeadersMsg(headerBytes(m.Header))
		if err != nil {
			t.Fatalf("headers: %v", err)
		}
		got, err := decode(1, wire, m.Data)
		if diff := cmp.Diff(e, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Fatalf("%v (-sent +read):\n%s", err, diff)
		}
		direct, err := nats.DecodeHeadersMsg(append(appendHeader(nil, &e), "\r\n"...))
		if diff := cmp.Diff(m.Header, direct); err != nil || diff != "" || string(appendSubject(nil, &e)) != m.Subject {
			t.Fatalf("the embedded server gets other headers than a cluster: %v (-cluster +embedded):\n%s", err, diff)
		}
		e.Device += "x"
		if sum(&e) == one(m.Header, hdrSum) {
			t.Fatal("the checksum does not see a changed device")
		}
		if e.Device, e.Late = e.Device[:len(e.Device)-1], !e.Late; sum(&e) == one(m.Header, hdrSum) {
			t.Fatal("the checksum does not see whether it was late")
		}
	})
}

// TestEventsOfBeforeThereWasALateAreReadAsTheyWere holds the bytes that a
// journal has on disk since then.
func TestEventsOfBeforeThereWasALateAreReadAsTheyWere(t *testing.T) {
	const header = "NATS/1.0\r\nNats-Msg-Id: hq:record:7\r\nGc-Kind: 30000\r\nGc-Stored: 1700000000123\r\nGc-Sum: 12bb06dacfe42826f3e6c788bd7e9e76\r\n" +
		"Gc-Device: SPSP-1\r\nGc-Source: hq\r\nGc-At: 1699999999\r\nGc-Groups: 4,5\r\n\r\n"
	want := gatecast.Event{
		Seq: 1, ID: "hq:record:7", Kind: gatecast.Record, Stored: time.UnixMilli(1700000000123).UTC(), Device: "SPSP-1", Source: "hq",
		At: time.Unix(1699999999, 0).UTC(), Groups: []int64{4, 5}, Data: []byte(`{"id":7}`),
	}
	h, err := nats.DecodeHeadersMsg([]byte(header))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(1, h, want.Data)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-stored +read):\n%s", err, diff)
	}
	var d decoder
	direct := gatecast.Event{Seq: 1}
	err = d.decode(&direct, []byte(header), want.Data)
	if diff := cmp.Diff(want, direct); err != nil || diff != "" {
		t.Errorf("%v (-stored +read):\n%s", err, diff)
	}
	if now := string(appendHeader(nil, &want)) + "\r\n"; now != header {
		t.Errorf("an event that is not late is written otherwise now: %q", now)
	}
}

func headerBytes(h nats.Header) []byte {
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for k, v := range h {
		fmt.Fprintf(&b, "%s: %s\r\n", k, v[0])
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

func TestTheIndexForgetsByAgeAndByCount(t *testing.T) {
	x := newIndex(Dedup{Window: time.Minute, Max: 3})
	t0 := time.UnixMilli(0)
	for i := range 5 {
		x.add(hashID(fmt.Sprint(i)), gatecast.Seq(i+1), t0)
	}
	for i, want := range []gatecast.Seq{0, 0, 3, 4, 5} {
		if got := x.find(hashID(fmt.Sprint(i))); got != want {
			t.Errorf("ID %d is at %d, want %d", i, got, want)
		}
	}
	x.expire(t0.Add(time.Minute))
	if x.find(hashID("4")) == 0 {
		t.Error("forgotten at the edge of the window, which is inside")
	}
	x.expire(t0.Add(time.Minute + time.Millisecond))
	if len(x.seqs) != 0 {
		t.Errorf("%d IDs are left beyond the window", len(x.seqs))
	}
}

// TestTheTailNeverShowsAHole reads along while the tail grows and jumps. The
// writer never runs away from the reader by more than the tail holds, but for
// the jumps; so both a stretch that is held and one that is not must be seen.
func TestTheTailNeverShowsAHole(t *testing.T) {
	tl := newTail(0, 8, 1<<20)
	const end = 2000
	var wg sync.WaitGroup
	seen := make(chan struct{})
	wg.Go(func() {
		for i := gatecast.Seq(1); i <= end; i++ {
			tl.push([]gatecast.Event{{Seq: i}})
			if i%3 == 0 {
				<-seen
			}
			if i%97 == 0 {
				i += 2
				tl.advance(i)
			}
		}
	})
	shown, missed := 0, 0
	for after := gatecast.Seq(0); after < end; {
		events, held := tl.after(after, 10)
		for i, e := range events {
			if e.Seq != after+gatecast.Seq(i)+1 {
				t.Fatalf("after %d: seq %d in place %d", after, e.Seq, i)
			}
		}
		shown += len(events)
		after += gatecast.Seq(len(events))
		if !held {
			missed++
			after, _ = tl.end()
		}
		select {
		case seen <- struct{}{}:
		default:
		}
	}
	close(seen)
	wg.Wait()
	if shown == 0 || missed == 0 {
		t.Errorf("%d events were shown, %d times the reader had to jump; this checks nothing", shown, missed)
	}
}

func TestTheIndexKeepsWhereAnIDWasStoredFirst(t *testing.T) {
	x := newIndex(Dedup{}.withDefaults())
	for seq := range gatecast.Seq(3) {
		x.add(hashID("a"), seq+5, time.UnixMilli(0))
	}
	if got := x.find(hashID("a")); got != 5 || len(x.order) != 1 {
		t.Errorf("the ID is at %d and remembered %d times, want at 5 and once", got, len(x.order))
	}
}

// TestAFullCallIsRememberedWhole limits the memory of IDs to less than a call.
func TestAFullCallIsRememberedWhole(t *testing.T) {
	m := OpenMem(MemOptions{Dedup: Dedup{Max: 10}})
	events := make([]gatecast.Event, MaxCall)
	for i := range events {
		events[i].ID = fmt.Sprint(i)
	}
	for _, want := range []gatecast.Receipt{{Accepted: MaxCall, First: 1, Last: MaxCall}, {Duplicates: MaxCall}} {
		if r, err := m.Append(t.Context(), events); err != nil || r != want {
			t.Errorf("%+v, %v, want %+v", r, err, want)
		}
	}
}
