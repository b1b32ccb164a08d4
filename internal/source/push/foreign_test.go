package push

import (
	"net/http"
	"testing"
)

// What comes first under an ID stays: a sender that could choose the ID of a
// source's next event would keep it out.
func TestASenderCannotTakeTheIDOfASourcesEvent(t *testing.T) {
	j := &journal{}
	h := New(j, Options{})
	for range 2 {
		if w := post(h, event("hq:record:777"), "application/json"); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if got := j.stored(); got != foreign("hq:record:777") || len(j.events) != 1 {
		t.Errorf("stored %q", got)
	}
}

func TestNoSourceTakesAllTheMemoryOfTheReceiver(t *testing.T) {
	all, mine, other := &budget{max: 100}, &budget{max: 50}, &budget{max: 50}
	a, b := &chargedReader{budget: all, share: mine}, &chargedReader{budget: all, share: other}
	if !a.take(50) || a.take(1) || !b.take(50) || b.take(1) {
		t.Errorf("%+v %+v %+v", all, mine, other)
	}
	if mine.used != 50 || other.used != 50 || all.used != 100 {
		t.Errorf("charged %d and %d of %d", mine.used, other.used, all.used)
	}
}
