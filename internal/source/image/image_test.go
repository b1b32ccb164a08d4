package image_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	stdimage "image"
	"image/jpeg"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/source/image"
	"github.com/gatecast/gatecast/internal/standin"
	"github.com/gatecast/gatecast/senselink"
)

func photo() []byte {
	var b bytes.Buffer
	_ = jpeg.Encode(&b, stdimage.NewGray(stdimage.Rect(0, 0, 8, 8)), nil) // writing to memory does not fail
	return b.Bytes()
}

// good answers every question with a photo.
func good(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(photo()) }

// metric returns the sum of a metric over the labels that are not given.
func (s *site) metric(name string, labels ...string) (sum float64) {
	s.t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(s.fetcher.Metrics()...)
	families, err := reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			have := make(map[string]string)
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			match := true
			for i := 0; i < len(labels); i += 2 {
				match = match && have[labels[i]] == labels[i+1]
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestTheImagesOfAnOrdinaryServerAreFetchedOnceEach(t *testing.T) {
	for _, style := range []gatecast.RESTStyle{gatecast.RESTv4, gatecast.RESTv5} {
		server := standin.New(standin.Options{})
		inSite(t, server, image.Options{}, func(s *site) {
			s.sources.change("hq", func(src *gatecast.Source) {
				src.Settings.REST.Style, src.Settings.AppKey, src.Settings.AppSecret = style, server.AppKey(), server.AppSecret()
			})
			const people = 20
			for n := range 2 * people { // each comes twice
				data := standin.SampleRecord(n%people, time.Now())
				if n%4 == 3 {
					alarm := standin.SampleAlarm(n, 1, time.Now())
					server.Add(gatecast.Alarm, alarm)
					s.append(gatecast.Event{ID: fmt.Sprint("a", n), Kind: gatecast.Alarm, Source: "hq", Data: alarm})
				}
				server.Add(gatecast.Record, data)
				s.append(gatecast.Event{ID: fmt.Sprint("r", n), Kind: gatecast.Record, Source: "hq", Data: data})
				wait(time.Second)
			}
			wait(time.Minute)
			if got, want := s.album.count(), 3*people+people/2; got != want {
				t.Errorf("%s: %d images are here, want %d\n%s", style, got, want, s.log.String())
			}
			for path, n := range s.wire.asked {
				if n != 1 {
					t.Errorf("%s: %s was asked for %d times", style, path, n)
				}
			}
			if n := s.metric("gatecast_image_waiting", "source", "hq"); n != 0 {
				t.Errorf("%v wait", n)
			}
		})
		server.Close()
	}
}

func TestOnlyImagesOfTheSourcesOwnEventsAreFetched(t *testing.T) {
	inSite(t, http.HandlerFunc(good), image.Options{}, func(s *site) {
		// This one came inside its event.
		if err := s.album.Put(gatecast.Photo{Type: gatecast.Captured, ID: name(4)}, photo()); err != nil {
			t.Fatal(err)
		}
		s.take("push", name(1))
		s.take("hq", name(2), "../../etc/passwd", "short")
		s.take("hq2", name(3))
		s.take("hq", name(4))
		wait(time.Minute)
		if s.wire.total() != 1 || !s.has(name(2)) {
			t.Errorf("asked for %v", s.wire.asked)
		}
	})
}

func TestAQuestionIsSignedAndTheSecretIsNeverTold(t *testing.T) {
	for _, style := range []gatecast.RESTStyle{gatecast.RESTv4, gatecast.RESTv5} {
		var bad atomic.Int32
		var signs []string
		check := func(w http.ResponseWriter, r *http.Request) {
			q, h := r.URL.Query(), r.Header
			right := q.Get("app_key") == "0123456789abcdef" && q.Get("sign") == senselink.Sign(q.Get("timestamp"), "geheim")
			if style == gatecast.RESTv5 {
				right = right && h.Get("appKey") == q.Get("app_key") && h.Get("timestamp") == q.Get("timestamp") && h.Get("sign") == q.Get("sign")
			} else {
				right = right && h.Get("appKey") == "" && h.Get("sign") == ""
			}
			if !right {
				bad.Add(1)
			}
			signs = append(signs, q.Get("sign"))
			panic("hang up")
		}
		inSite(t, http.HandlerFunc(check), image.Options{}, func(s *site) {
			s.sources.change("hq", func(src *gatecast.Source) { src.Settings.REST.Style = style })
			s.take("hq", name(1))
			wait(time.Minute)
			s.end()
			if bad.Load() != 0 || len(signs) == 0 {
				t.Errorf("%s: %d of %d questions were not signed as they should be", style, bad.Load(), len(signs))
			}
			for _, secret := range append(signs, "geheim") {
				if strings.Contains(s.log.String(), secret) {
					t.Errorf("%s: the log tells %s:\n%s", style, secret, s.log.String())
				}
			}
		})
	}
}

func TestQuestionsKeepToTheRateAndTheNumberAtOnce(t *testing.T) {
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait(3 * time.Second)
		good(w, r)
	}), image.Options{PerSecond: 5, Parallel: 3}, func(s *site) {
		for n := range 300 {
			s.take("hq", name(3*n), name(3*n+1), name(3*n+2))
		}
		begin := time.Now()
		for s.album.count() < 900 {
			wait(time.Second)
		}
		// Three at once, three seconds each: one a second.
		if took := time.Since(begin); s.wire.peak != 3 || took < 900*time.Second || took > 1000*time.Second {
			t.Errorf("%d at once, in %v", s.wire.peak, took)
		}
	})
	inSite(t, http.HandlerFunc(good), image.Options{PerSecond: 5, Parallel: 3}, func(s *site) {
		for n := range 100 {
			s.take("hq", name(3*n), name(3*n+1), name(3*n+2))
		}
		wait(30 * time.Second)
		if n := s.wire.total(); n < 140 || n > 152 {
			t.Errorf("%d questions in 30 s, want 5 a second", n)
		}
	})
}

func TestWhatWaitsIsBoundedAndNothingIsForgottenForIt(t *testing.T) {
	var well atomic.Bool
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !well.Load() {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		good(w, r)
	}), image.Options{PerSecond: 100, Parallel: 8}, func(s *site) {
		for n := range 2500 {
			s.take("hq", name(n))
		}
		wait(time.Hour)
		if n := s.metric("gatecast_image_waiting"); n < 1000 || n > 1300 {
			t.Errorf("%v wait", n)
		}
		well.Store(true)
		wait(time.Hour)
		if n := s.album.count(); n != 2500 {
			t.Errorf("%d of 2500 images are here", n)
		}
	})
}

func TestAfterARestartItGoesOnWhereItWasAndAsksForNothingTwice(t *testing.T) {
	inSite(t, http.HandlerFunc(good), image.Options{PerSecond: 2}, func(s *site) {
		for n := range 200 {
			s.take("hq", name(n))
		}
		for range 10 {
			wait(7 * time.Second)
			s.end()
			s.start()
		}
		s.take("hq", name(777))
		wait(5 * time.Minute)
		if n := s.album.count(); n != 201 {
			t.Errorf("%d of 201 images are here", n)
		}
		twice := 0
		for _, n := range s.wire.asked {
			twice += n - 1
		}
		if twice > 20 { // those under way when it ended
			t.Errorf("%d questions too many", twice)
		}
	})
}

func TestAListThatIsLostOrDamagedIsMadeAnew(t *testing.T) {
	inSite(t, http.HandlerFunc(good), image.Options{}, func(s *site) {
		for i, damage := range []string{"", "{", `{"created":"2020-01-01T00:00:00Z","epoch":"other","seq":9999}`} {
			s.take("hq", name(i))
			s.end()
			file := filepath.Join(s.opts.Dir, "hq.images")
			if err := os.WriteFile(file, []byte(damage), 0o600); err != nil {
				t.Fatal(err)
			}
			if damage == "" {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			s.start()
			wait(time.Minute)
			if !s.has(name(i)) {
				t.Errorf("damaged with %q: the image is not here", damage)
			}
		}
	})
}

func TestImagesAreNotAskedForForLongerThanTheyMay(t *testing.T) {
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }), image.Options{For: time.Hour}, func(s *site) {
		for n := range 10 {
			s.take("hq", name(n))
		}
		wait(50 * time.Minute)
		if n := s.metric("gatecast_image_lost_total"); n != 0 {
			t.Errorf("%v were given up after 50 minutes", n)
		}
		wait(20 * time.Minute)
		if n := s.metric("gatecast_image_lost_total", "why", "expired"); n != 10 {
			t.Errorf("%v of 10 were given up", n)
		}
		asked := s.wire.total()
		wait(10 * time.Hour)
		if s.wire.total() != asked {
			t.Error("it is asked on")
		}
	})
}

func TestAPausedSourceIsNotAskedUntilItIsResumed(t *testing.T) {
	inSite(t, http.HandlerFunc(good), image.Options{}, func(s *site) {
		s.sources.change("hq", func(src *gatecast.Source) { src.Paused = "maintenance" })
		synctest.Wait()
		s.take("hq", name(1))
		wait(time.Hour)
		if s.wire.total() != 0 {
			t.Error("it was asked while it was paused")
		}
		s.sources.change("hq", func(src *gatecast.Source) { src.Paused = "" })
		wait(time.Minute)
		if !s.has(name(1)) {
			t.Error("its image is not here a minute after it was resumed")
		}
	})
}

func TestChangedSettingsCountAtOnce(t *testing.T) {
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("sign") != senselink.Sign(q.Get("timestamp"), "neu") {
			w.WriteHeader(403)
			return
		}
		good(w, r)
	}), image.Options{}, func(s *site) {
		for n := range 5 {
			s.take("hq", name(n))
		}
		wait(2 * time.Hour)
		s.sources.change("hq", func(src *gatecast.Source) { src.Settings.AppSecret = "neu" })
		wait(5 * time.Second)
		if n := s.album.count(); n != 5 {
			t.Errorf("%d of 5 images are here", n)
		}
	})
}

func TestADeletedSourceLeavesNothingBehind(t *testing.T) {
	inSite(t, http.HandlerFunc(good), image.Options{}, func(s *site) {
		s.take("hq", name(1))
		wait(time.Minute)
		if files, err := os.ReadDir(s.opts.Dir); err != nil || len(files) != 1 {
			t.Fatalf("files %v, %v", files, err)
		}
		s.sources.change("hq", nil)
		wait(time.Minute)
		if files, err := os.ReadDir(s.opts.Dir); err != nil || len(files) != 0 {
			t.Errorf("files %v, %v", files, err)
		}
		if n := s.metric("gatecast_image_asked_total"); n != 0 {
			t.Errorf("its numbers are still shown: %v", n)
		}
		s.take("hq", name(2))
		wait(time.Minute)
		if s.wire.total() != 1 {
			t.Error("it is still asked")
		}
	})
}

func TestTheListOnDiskTellsWhatWaits(t *testing.T) {
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }), image.Options{}, func(s *site) {
		s.take("hq", name(1), name(2))
		wait(time.Minute)
		text, err := os.ReadFile(filepath.Join(s.opts.Dir, "hq.images"))
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Seq     int
			Waiting []struct{ ID string }
		}
		if err := json.Unmarshal(text, &list); err != nil || list.Seq != 1 || len(list.Waiting) != 2 || list.Waiting[1].ID != name(2) {
			t.Errorf("%s, %v", text, err)
		}
	})
}
