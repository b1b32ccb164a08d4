package image_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/source/image"
)

func TestAServerThatFailsIsLeftAloneAndAskedAgain(t *testing.T) {
	for title, fail := range map[string]http.HandlerFunc{
		"500":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 500) },
		"hangs up":  func(http.ResponseWriter, *http.Request) { panic("hang up") },
		"says wait": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTooManyRequests) },
		"locks out": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"code":498,"desc":"app key not exist","data":{}}`))
		},
		"clock": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"code":30001,"desc":"timestamp expired"}`))
		},
		"is silent":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"takes us no": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) },
	} {
		var well atomic.Bool
		inSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if well.Load() {
				good(w, r)
			} else {
				fail(w, r)
			}
		}), image.Options{}, func(s *site) {
			for n := range 50 {
				s.take("hq", name(n))
			}
			wait(12 * time.Hour)
			if n := s.wire.total(); n < 100 || n > 400 {
				t.Errorf("%s: it was asked %d times in 12 hours, want once in some minutes", title, n)
			}
			if n := strings.Count(s.log.String(), "cannot be fetched at the moment"); n != 1 {
				t.Errorf("%s: the log was told %d times", title, n)
			}
			well.Store(true)
			wait(10 * time.Minute)
			if n := s.album.count(); n != 50 {
				t.Errorf("%s: ten minutes after it is well %d of 50 images are here", title, n)
			}
			if n := s.metric("gatecast_image_lost_total"); n != 0 {
				t.Errorf("%s: %v were given up", title, n)
			}
		})
	}
}

// TestOneImageThatTheServerFailsAtHoldsUpNoOther: a 500 may be about one image.
func TestOneImageThatTheServerFailsAtHoldsUpNoOther(t *testing.T) {
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, name(0)) {
			http.Error(w, "no", 500)
			return
		}
		good(w, r)
	}), image.Options{}, func(s *site) {
		for n := range 600 {
			s.take("hq", name(n))
			wait(time.Second)
		}
		wait(30 * time.Second)
		if n := s.album.count(); n != 599 {
			t.Errorf("%d of 599 images are here after ten minutes", n)
		}
		wait(25 * time.Hour)
		if n := s.metric("gatecast_image_lost_total", "why", "expired"); n != 1 {
			t.Errorf("%v were given up", n)
		}
	})
}

func TestWhatCannotBeHadIsGivenUpAndNotAskedForAgain(t *testing.T) {
	for title, v := range map[string]struct {
		answer http.HandlerFunc
		why    string
		asked  int
	}{
		"404": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) }, "missing", 1},
		"not there": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"code":30001,"desc":"image not exist"}`))
		}, "missing", 1},
		"HTML":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>Welcome to nginx</html>")) }, "unusable", 1},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "unusable", 1},
		"huge":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(append(photo(), make([]byte, 10_000)...)) }, "unusable", 1},
		"no reason": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"code":30001,"message":"Param Invalid"}`))
		}, "refused", 6},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere/", http.StatusFound)
		}, "refused", 6},
	} {
		inSite(t, v.answer, image.Options{MaxSize: 5000}, func(s *site) {
			for range 5 {
				s.take("hq", name(1))
				wait(time.Hour)
			}
			if n := s.wire.count(name(1)); n != v.asked || n != s.wire.total() {
				t.Errorf("%s: it was asked for %d times, want %d; in all %v", title, n, v.asked, s.wire.asked)
			}
			if n := s.metric("gatecast_image_lost_total", "source", "hq", "why", v.why); n != 1 {
				t.Errorf("%s: %v were given up as %s", title, n, v.why)
			}
			if n := strings.Count(s.log.String(), "is not fetched"); n != 1 {
				t.Errorf("%s: the log was told %d times", title, n)
			}
			if s.album.count() != 0 {
				t.Errorf("%s: something was stored", title)
			}
		})
	}
}

func TestWhileTheDiskIsLowNothingIsFetched(t *testing.T) {
	inSite(t, http.HandlerFunc(good), image.Options{}, func(s *site) {
		s.album.set(gatecast.Errorf(gatecast.Unavailable, "disk almost full"), nil)
		s.take("hq", name(1))
		wait(time.Hour)
		if s.wire.total() != 0 {
			t.Errorf("it was asked %d times", s.wire.total())
		}
		s.album.set(nil, gatecast.Errorf(gatecast.Unavailable, "no space left"))
		wait(time.Hour)
		s.album.set(nil, nil)
		wait(time.Hour)
		if !s.has(name(1)) {
			t.Error("its image is not here an hour after there is space")
		}
	})
}

func TestOneDeadSourceHoldsUpNoOther(t *testing.T) {
	inSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "dead" {
			<-r.Context().Done()
			return
		}
		good(w, r)
	}), image.Options{}, func(s *site) {
		dead := *s.sources.all["hq"]
		dead.Name, dead.Settings.REST.URL = "dead", "http://dead"
		s.sources.mu.Lock()
		s.sources.all["dead"] = &dead
		s.sources.mu.Unlock()
		s.sources.news <- "dead"
		for n := range 100 {
			s.take("dead", name(1000+n))
			s.take("hq", name(n))
		}
		wait(time.Minute)
		if n := s.album.count(); n != 100 {
			t.Errorf("%d of 100 images are here", n)
		}
	})
}
