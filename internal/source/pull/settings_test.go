package pull

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/gatecast/gatecast"
)

func TestSettingsAreTakenUpAndTheConnectionIsKeptWhereItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := make(chan string, 10)
		say := make(chan string)
		network := serve(t, sessions(t, func(s session) {
			paths <- s.path
			s.welcome()
			over := make(chan struct{})
			go func() {
				defer close(over)
				s.hold()
			}()
			for {
				select {
				case text := <-say:
					s.text(text)
				case <-over:
					return
				}
			}
		}))
		b := follow(t, network, Options{})
		b.status(t, gatecast.SourceLive, "")
		<-paths

		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source {
			s.Settings.Company, s.Settings.REST.Zone = 5, "Asia/Tokyo"
			return &s
		})
		synctest.Wait()
		say <- `{"code":30000,"data":{"id":1,"companyId":4}}`
		say <- `{"code":30000,"data":{"id":2,"companyId":5}}`
		say <- `{"code":30000,"data":{"id":3,"companyId":"5"}}`
		say <- alarm(4, 1)
		synctest.Wait()
		if got := b.journal.stored(); got != "hq:record:2 hq:record:3 hq:alarm:4:1" || len(paths) != 0 {
			t.Errorf("stored %s, %d new connections", got, len(paths))
		}
		if at := b.journal.all()[2].At; !at.Equal(time.Date(2023, 9, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("the alarm is of %v", at)
		}
	})
}

func TestWhoIsPausedChangedOrDeletedIsConnectedNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := make(chan string, 10)
		b := follow(t, serve(t, sessions(t, func(s session) {
			paths <- s.path
			s.welcome()
			s.text(record(s.n))
			s.hold()
		})), Options{})
		b.status(t, gatecast.SourceLive, "")
		<-paths

		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source { s.Paused = "moving house"; return &s })
		b.status(t, gatecast.SourcePaused, "moving house")
		pass(time.Hour)
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source {
			s.Paused, s.Settings.AppKey = "", "fedcba9876543210"
			return &s
		})
		b.status(t, gatecast.SourceLive, "")
		if path := <-paths; !strings.Contains(path, "fedcba9876543210") || len(paths) != 0 {
			t.Errorf("came back as %s", path)
		}

		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source { s.Settings.AppSecret = "another"; return &s })
		b.status(t, gatecast.SourceLive, "")
		if len(paths) != 1 {
			t.Errorf("%d new connections by the new secret", len(paths))
		}

		b.sources.change("hq", func(gatecast.Source) *gatecast.Source { return nil })
		b.status(t, "", "")
		if n := testutil.CollectAndCount(b.metrics.events); n != 0 {
			t.Errorf("%d series of a source that is gone", n)
		}
		b.sources.change("hq", func(gatecast.Source) *gatecast.Source { return upstream("hq") })
		b.status(t, gatecast.SourceLive, "")
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source {
			s.Settings.Kind = gatecast.SourceSubscription
			return &s
		})
		b.status(t, "", "")
	})
}

func TestWhoMayNotLogInYetIsNotLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := serve(t, sessions(t, func(s session) {
			s.welcome()
			s.hold()
		}))
		b := follow(t, network, Options{LoginsPerMinute: 1})
		b.status(t, gatecast.SourceLive, "")
		b.sources.change("hq", func(s gatecast.Source) *gatecast.Source {
			s.Settings.AppSecret = "another"
			return &s
		})
		pass(2 * time.Second) // of them, the goodbye takes one
		b.status(t, gatecast.SourceConnecting, "was logged in 1 times within a minute")
		pass(time.Minute)
		b.status(t, gatecast.SourceLive, "")
	})
}
