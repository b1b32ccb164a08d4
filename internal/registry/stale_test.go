package registry

import (
	"testing"

	"github.com/gatecast/gatecast"
)

// TestARemovedAppStaysRemovedThroughAResync lets a watch that has just begun
// anew tell, late, of an app that this node has removed meanwhile.
func TestARemovedAppStaysRemovedThroughAResync(t *testing.T) {
	c := newCache()
	e, it := entry{key: "app.a", rev: 5}, item{app: &gatecast.App{Key: "a"}}
	other := entry{key: "app.b", rev: 10}
	c.beginSync()
	c.watched(e, it)
	c.watched(other, item{app: &gatecast.App{Key: "b"}})
	c.endSync()
	c.beginSync()
	c.removed(e.key, e.rev)
	c.watched(e, it)
	if _, there := c.load().apps["a"]; there {
		t.Error("a removed app is back")
	}
	c.watched(other, item{app: &gatecast.App{Key: "b"}})
	c.endSync()
	if apps := c.load().apps; len(apps) != 1 || apps["b"] == nil {
		t.Errorf("after the sync: %v, want b alone", apps)
	}
}
