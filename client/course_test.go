package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

func TestAnotherJournalIsNoticedWithOrWithoutANotice(t *testing.T) {
	for _, s := range []Subscription{{Name: "hr"}, {Since: Earliest()}} {
		synctest.Test(t, func(t *testing.T) {
			v := newVault(t, 4)
			c := newClient(t, serve(t, sessions(t, v.serve)), quick)
			var got []gatecast.GapNotice
			var ids []string
			for d, err := range c.Subscribe(t.Context(), s) {
				if err != nil {
					t.Fatal(err)
				}
				d.Ack()
				if d.Gap != nil {
					got = append(got, *d.Gap)
					continue
				}
				ids = append(ids, d.Epoch+d.ID)
				if d.Epoch == "E1" && d.Seq == 4 {
					v.mu.Lock()
					v.epoch, v.events, v.cursors = "E2", nil, make(map[string]gatecast.Seq)
					v.mu.Unlock()
					v.add(2)
				}
				if d.Epoch == "E2" && d.Seq == 2 {
					break
				}
			}
			if diff := cmp.Diff([]gatecast.GapNotice{{From: 4, To: 0, Reason: gatecast.GapEpoch}}, got); diff != "" {
				t.Error(diff)
			}
			if len(ids) != 6 {
				t.Errorf("got %v", ids)
			}
		})
	}
}

// scripted sends numbered pushes as a test writes them, without a notice.
func scripted(t *testing.T, pushes ...string) *Client {
	return newClient(t, serve(t, sessions(t, func(s session) {
		s.welcome()
		for _, p := range pushes {
			s.text(p)
		}
		s.drain()
	})), quick)
}

func numbered(epoch string, seq gatecast.Seq, data string) string {
	e := gatecast.Event{Seq: seq, Kind: gatecast.Record, Data: []byte(data)}
	return string(senselink.AppendNumbered(nil, &e, epoch, false))
}

func resumed(epoch string, after, head gatecast.Seq) string {
	return string(senselink.Resumed(after, head, epoch))
}

func TestDuplicatesAndBreaksOfTheOrderAreFoundWithoutTheServersHelp(t *testing.T) {
	const a, b, c, d = `{"id":1,"sn":"S"}`, `{"id":2,"sn":"S"}`, `{"id":3,"sn":"S"}`, `{"id":4,"sn":"S"}`
	for name, tc := range map[string]struct {
		pushes []string
		want   []string
	}{
		"the same place":           {[]string{resumed("E", 0, 9), numbered("E", 1, a), numbered("E", 1, a), numbered("E", 2, b), numbered("E", 1, a), numbered("E", 3, d)}, []string{"E1", "E2", "E3"}},
		"the same event":           {[]string{resumed("E", 0, 9), numbered("E", 1, a), numbered("E", 2, a), numbered("E", 3, d)}, []string{"E1", "E3"}},
		"its ID with other data":   {[]string{resumed("E", 0, 9), numbered("E", 1, a), numbered("E", 2, `{"id":1,"sn":"S","name":"x"}`), numbered("E", 3, d)}, []string{"E1", "E2", "E3"}},
		"no ID to tell them by":    {[]string{resumed("E", 0, 9), numbered("E", 1, `{"id":0}`), numbered("E", 2, `{"id":0}`), numbered("E", 3, d)}, []string{"E1", "E2", "E3"}},
		"an epoch that changes":    {[]string{resumed("E", 0, 9), numbered("E", 7, a), numbered("F", 3, b), numbered("F", 4, d)}, []string{"E7", "epoch 7-2", "F3", "F4"}},
		"a seq that goes back":     {[]string{resumed("E", 0, 9), numbered("E", 7, a), numbered("E", 3, b), numbered("E", 4, d)}, []string{"E7", "ahead 7-2", "E3", "E4"}},
		"another event in a place": {[]string{resumed("E", 0, 9), numbered("E", 1, a), numbered("E", 2, b), numbered("E", 2, c), numbered("E", 3, d)}, []string{"E1", "E2", "ahead 2-1", "E2", "E3"}},
		"restored and repeated":    {[]string{resumed("E", 0, 9), numbered("E", 5, a), numbered("F", 1, a), numbered("F", 2, d)}, []string{"E5", "epoch 5-0", "F2"}},
		"no word of the beginning": {[]string{numbered("E", 5, a), numbered("E", 6, d)}, []string{"E5", "E6"}},
		"a beginning far ahead":    {[]string{resumed("E", 0, 9), numbered("E", 1, a), resumed("E", 5, 9), numbered("E", 6, d)}, []string{"E1", "retention 1-5", "E6"}},
		"a head that went back":    {[]string{resumed("E", 0, 9), numbered("E", 8, a), resumed("E", 2, 4), numbered("E", 3, d)}, []string{"E8", "ahead 8-2", "E3"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				for dl, err := range scripted(t, tc.pushes...).Subscribe(t.Context(), Subscription{}) {
					if err != nil {
						t.Fatal(err)
					}
					if g := dl.Gap; g != nil {
						got = append(got, string(g.Reason)+" "+After(Position{Seq: g.From}).String()+"-"+After(Position{Seq: g.To}).String())
						continue
					}
					got = append(got, dl.Epoch+After(dl.Position()).String())
					if string(dl.Data) == d {
						break
					}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// Without it the cursor would stay behind for as long as nothing else comes.
func TestTheCursorMovesOverAnEventThatIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const a = `{"id":1,"sn":"S"}`
		store := MemoryCursor()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := scripted(t, resumed("E", 0, 9), numbered("E", 1, a), numbered("E", 2, a))
		for d, err := range c.Subscribe(ctx, Subscription{Cursor: store}) {
			if err == nil {
				d.Ack()
			}
		}
		if p, ok, _ := store.Load(t.Context()); !ok || p.Seq != 2 {
			t.Errorf("the cursor is %v, want 2", p)
		}
	})
}
