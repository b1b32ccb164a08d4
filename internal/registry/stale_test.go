package registry

import (
	"testing"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bucket"
)

// TestARemovedAppStaysRemovedThroughAResync lets a watch that has just begun
// anew tell, late, of an app that this node has removed meanwhile.
func TestARemovedAppStaysRemovedThroughAResync(t *testing.T) {
	c := newCache()
	e, it := bucket.Entry{Key: "app.a", Rev: 5}, item{app: &gatecast.App{Key: "a"}}
	other := bucket.Entry{Key: "app.b", Rev: 10}
	c.beginSync()
	c.watched(e, it)
	c.watched(other, item{app: &gatecast.App{Key: "b"}})
	c.endSync()
	c.beginSync()
	c.removed(e.Key, e.Rev)
	c.watched(e, it)
	if _, there := c.load().apps.get("a"); there {
		t.Error("a removed app is back")
	}
	c.watched(other, item{app: &gatecast.App{Key: "b"}})
	c.endSync()
	if _, there := c.load().apps.get("b"); !there || c.load().apps.len() != 1 {
		t.Errorf("after the sync: %v, want b alone", c.items)
	}
}

// TestWhatAWatchNoLongerTellsIsForgotten begins the watch anew on a store that
// has dropped the marks of what was removed.
func TestWhatAWatchNoLongerTellsIsForgotten(t *testing.T) {
	c := newCache()
	sub := &gatecast.Subscription{ID: "sub_00112233445566ff"}
	app := item{app: &gatecast.App{Key: "b"}}
	c.beginSync()
	c.watched(bucket.Entry{Key: subscriptionEntry + sub.ID, Rev: 5}, item{sub: sub})
	c.watched(bucket.Entry{Key: "app.b", Rev: 10}, app)
	c.endSync()
	l := c.listen(subscriptionID)
	c.beginSync()
	c.watched(bucket.Entry{Key: "app.b", Rev: 10}, app)
	c.endSync()
	if _, there := c.load().subs.get(sub.ID); there {
		t.Error("the subscription is still there")
	}
	if _, there := c.load().apps.get("b"); !there {
		t.Error("the app went too")
	}
	if told := c.take(l); len(told) != 1 {
		t.Errorf("the listener was told of %v", told)
	}
}
