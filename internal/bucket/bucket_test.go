package bucket_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
	"github.com/gatecast/gatecast/internal/bucket/buckettest"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMem(t *testing.T) {
	buckettest.Run(t, func(*testing.T) func() bucket.Bucket {
		m := &bucket.Mem{}
		return func() bucket.Bucket { return m }
	})
}

func TestALineOnWhichNothingGoesWrongIsABucket(t *testing.T) {
	buckettest.Run(t, func(*testing.T) func() bucket.Bucket {
		m := &bucket.Mem{}
		return func() bucket.Bucket { return &buckettest.Line{Bucket: m} }
	})
}

func TestJetStream(t *testing.T) {
	for name, markers := range map[string]time.Duration{"for ever": 0, "for an hour": time.Hour} {
		t.Run("removals are remembered "+name, func(t *testing.T) {
			buckettest.Run(t, func(t *testing.T) func() bucket.Bucket {
				s := buckettest.Server(t, t.TempDir(), 0)
				return func() bucket.Bucket {
					return open(t, buckettest.Connect(t, s), bucket.Options{Name: "b", Markers: markers})
				}
			})
		})
	}
}

func open(t *testing.T, js jetstream.JetStream, o bucket.Options) bucket.Bucket {
	t.Helper()
	b, err := bucket.Open(t.Context(), js, o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABucketSurvivesARestartOfTheServer(t *testing.T) {
	dir := t.TempDir()
	s := buckettest.Server(t, dir, 0)
	b := open(t, buckettest.Connect(t, s), bucket.Options{Name: "b"})
	rev, err := b.Put(t.Context(), "x", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = b.Set(t.Context(), "y", []byte("2")); err == nil {
		err = b.Delete(t.Context(), "y", 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	buckettest.Stop(s)
	b = open(t, buckettest.Connect(t, buckettest.Server(t, dir, 0)), bucket.Options{Name: "b"})
	if e := buckettest.Entry(t, b, "x"); string(e.Value) != "1" || e.Rev != rev {
		t.Errorf("%+v", e)
	}
	if _, err := b.Get(t.Context(), "y"); !errors.Is(err, bucket.ErrMissing) {
		t.Errorf("a removed key: %v", err)
	}
}

// TestABucketOfAnEarlierVersionIsReadFromItsLeaderToo opens one that was made
// with the client library's settings, and changed by an operator.
func TestABucketOfAnEarlierVersionIsReadFromItsLeaderToo(t *testing.T) {
	js := buckettest.Connect(t, buckettest.Server(t, t.TempDir(), 0))
	cfg := jetstream.KeyValueConfig{Bucket: "b", Description: "old", History: 1, Storage: jetstream.FileStorage, MaxBytes: 1 << 20}
	if _, err := js.CreateKeyValue(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := open(t, js, bucket.Options{Name: "b", About: "new"}).Set(t.Context(), "x", nil); err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), "KV_b")
		if err != nil {
			t.Fatal(err)
		}
		got := stream.CachedInfo().Config
		if got.AllowDirect || got.Description != "old" || got.MaxBytes != 1<<20 || got.Replicas != 1 || got.MaxMsgsPerSubject != 1 {
			t.Errorf("the stream's settings are %+v", got)
		}
	}
}

func TestALostServerIsUnavailableInItsOwnersWords(t *testing.T) {
	s := buckettest.Server(t, t.TempDir(), 0)
	js := buckettest.Connect(t, s)
	words := func(cause error) error {
		return &gatecast.Error{Code: gatecast.Unavailable, Message: "the shelf is out of reach", Cause: cause}
	}
	b := open(t, js, bucket.Options{Name: "b", Timeout: 200 * time.Millisecond, Unavailable: words})
	lost := make(chan error)
	go func() {
		lost <- b.Watch(context.Background(), bucket.Whole, func(bucket.Entry) bool { return true })
	}()
	js.Conn().Close()
	errs := map[string]error{"watch": <-lost, "delete": b.Delete(t.Context(), "x", 1)}
	_, errs["get"] = b.Get(t.Context(), "x")
	_, errs["put"] = b.Put(t.Context(), "x", nil, 0)
	_, errs["set"] = b.Set(t.Context(), "x", nil)
	_, errs["open"] = bucket.Open(t.Context(), js, bucket.Options{Name: "b", Timeout: 200 * time.Millisecond, Unavailable: words})
	for what, err := range errs {
		var e *gatecast.Error
		if !errors.As(err, &e) || e.Code != gatecast.Unavailable || e.Message != "the shelf is out of reach" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAWriteWhoseAnswerIsLostMayHaveBeenDone(t *testing.T) {
	silence := errors.New("no answer")
	for name, c := range map[string]struct {
		fault buckettest.Fault
		done  bool
	}{
		"lost":   {buckettest.Fault{Lost: silence}, false},
		"unsaid": {buckettest.Fault{Unsaid: silence}, true},
	} {
		m := &bucket.Mem{}
		l := &buckettest.Line{Bucket: m}
		l.Spoil(func(r buckettest.Request) buckettest.Fault {
			if r.Op == "get" {
				return buckettest.Fault{}
			}
			return c.fault
		})
		_, err := l.Put(t.Context(), "x", []byte("1"), 0)
		if gatecast.CodeOf(err) != gatecast.Unavailable || !errors.Is(err, silence) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := l.Get(t.Context(), "x"); (err == nil) != c.done {
			t.Errorf("%s: then %v", name, err)
		}
	}
}

func TestALineIsCutForAsLongAsARequestMayTakeAndReadsMayBeOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &bucket.Mem{}
		l := &buckettest.Line{Bucket: m}
		before := m.Crash()
		l.Spoil(func(buckettest.Request) buckettest.Fault { return buckettest.Fault{Cut: true} })
		began := time.Now()
		_, err := l.Set(t.Context(), "x", nil)
		if gatecast.CodeOf(err) != gatecast.Unavailable || !errors.Is(err, buckettest.ErrCut) || time.Since(began) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		l.Spoil(nil)
		if _, err := l.Set(t.Context(), "x", nil); err != nil {
			t.Error(err)
		}
		l.Stale(before)
		if _, err := l.Get(t.Context(), "x"); !errors.Is(err, bucket.ErrMissing) {
			t.Errorf("an old read: %v", err)
		}
	})
}

// losing loses its first watches: those before synced do so before they have
// told everything.
type losing struct {
	bucket.Bucket
	unsynced, synced int
}

var errLost = errors.New("lost")

func (b *losing) Watch(ctx context.Context, what bucket.What, tell func(bucket.Entry) bool) error {
	switch {
	case b.unsynced > 0:
		b.unsynced--
		return errLost
	case b.synced > 0:
		b.synced--
		_ = b.Bucket.Watch(ctx, what, func(e bucket.Entry) bool { return tell(e) && !e.Synced })
		return errLost
	}
	return b.Bucket.Watch(ctx, what, tell)
}

func TestALostWatchIsBegunAnewAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &bucket.Mem{}
		if _, err := m.Set(t.Context(), "x", nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var begun, told int
		var rows []int
		began := time.Now()
		bucket.Follow(ctx, &losing{Bucket: m, unsynced: 3, synced: 2}, bucket.Watcher{
			Begin: func() { begun++ },
			Tell: func(e bucket.Entry) {
				if told++; begun == 6 && e.Synced {
					cancel()
				}
			},
			Lost: func(err error, before int) time.Duration {
				if !errors.Is(err, errLost) {
					t.Errorf("lost: %v", err)
				}
				rows = append(rows, before)
				return time.Second
			},
		})
		if begun != 6 || told != 6 || time.Since(began) != 5*time.Second {
			t.Errorf("%d watches have told %d entries in %v", begun, told, time.Since(began))
		}
		want := []int{0, 1, 2, 0, 0}
		if len(rows) != len(want) {
			t.Fatalf("lost %v", rows)
		}
		for i := range want {
			if rows[i] != want[i] {
				t.Errorf("in a row were lost %v, want %v", rows, want)
			}
		}
	})
}

func TestACrashLeavesWhatWasWrittenAndTheOldOnesGoOnAlone(t *testing.T) {
	m := &bucket.Mem{MaxValue: 10}
	for _, key := range []string{"x", "y"} {
		if _, err := m.Set(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Delete(t.Context(), "y", 0); err != nil {
		t.Fatal(err)
	}
	c := m.Crash()
	if _, err := m.Set(t.Context(), "z", nil); err != nil {
		t.Fatal(err)
	}
	if n := len(buckettest.Entries(t, c)); n != 2 || c.Limit() != 10 || buckettest.Revision(t, c) != 3 {
		t.Errorf("%d entries, limit %d", n, c.Limit())
	}
	c.Expire()
	if all := buckettest.Entries(t, c); len(all) != 1 || all[0].Key != "x" {
		t.Errorf("after a while there are %v", all)
	}
}

func TestAnOutageBeginsAndEndsOnce(t *testing.T) {
	var o bucket.Outage
	if o.End() || o.Err() != nil {
		t.Error("it begins with an outage")
	}
	if !o.Begin(errLost) || o.Begin(buckettest.ErrCut) || !errors.Is(o.Err(), buckettest.ErrCut) {
		t.Errorf("an outage of two failures: %v", o.Err())
	}
	if !o.End() || o.End() || o.Err() != nil {
		t.Error("it does not end once")
	}
}
