//go:build linux

package swarm

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestARefusedClientPausesAsLongAsTheServerWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Retry: time.Duration(rapid.IntRange(1, 10_000).Draw(t, "retry")) * time.Millisecond}
		after := time.Duration(rapid.IntRange(0, 10).Draw(t, "after")) * time.Second
		got := o.pause(after)
		if got < after || got < o.Retry/2 && after < o.Retry/2 || got > max(after+o.Retry/2, o.Retry*3/2) {
			t.Errorf("a pause of %v, the server wants %v, the client %v", got, after, o.Retry)
		}
	})
}

func TestClientsTryAgainWhenTheirPauseIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dials{limit: 10, queue: []int{7}}
		for i, pause := range []int{300, 100, 200} {
			d.later(i, time.Duration(pause)*time.Millisecond)
		}
		if d.wait() != 0 {
			t.Error("the first one has to wait")
		}
		var got []int
		for range 4 {
			<-time.After(time.Duration(d.wait()) * time.Millisecond)
			i, ok := d.next()
			if !ok {
				t.Fatal("the wait was too short")
			}
			got = append(got, i)
			if _, ok := d.next(); ok {
				t.Error("two at once")
			}
		}
		if !slices.Equal(got, []int{7, 1, 2, 0}) || d.wait() != -1 {
			t.Errorf("the order is %v", got)
		}
		d.later(1, 0)
		d.under = d.limit
		if _, ok := d.next(); ok || d.wait() != -1 {
			t.Error("begins though as many are under way as may be")
		}
	})
}

func TestSourcesAreLoopbackAddressesOfTheirOwn(t *testing.T) {
	local, far, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")
	for _, c := range []struct {
		client int
		to     netip.Addr
		want   string
	}{
		{0, local, ""},
		{19_999, local, ""},
		{20_000, local, "127.0.0.2"},
		{59_999, local, "127.0.0.3"},
		{20_000 * 300, local, "127.0.1.45"},
		{20_000, far, ""},
		{20_000, six, ""},
	} {
		got, ok := source(c.client, 20_000, c.to)
		if ok != (c.want != "") || ok && got.String() != c.want {
			t.Errorf("client %d of %v comes from %v", c.client, c.to, got)
		}
	}
	for ports, want := range map[string]int{"32768\t60999\n": 19_762, "1024 65535": 20_000, "40000 40000": 1, "": 20_000, "x y": 20_000, "5 4": 20_000} {
		if got := shareOf(ports); got != want {
			t.Errorf("of the ports %q one source gets %d", ports, got)
		}
	}
	if n := perSource(); n < 1 || n > 20_000 {
		t.Errorf("one source gets %d", n)
	}
}
