package gatecast_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func TestACatchUpThatCannotStandIsRefusedWithItsField(t *testing.T) {
	base := gatecast.CatchUp{}.WithDefaults()
	with := func(change func(*gatecast.CatchUp)) gatecast.CatchUp {
		c := base
		change(&c)
		return c
	}
	window := func(d time.Duration) gatecast.CatchUp {
		return with(func(c *gatecast.CatchUp) { c.Window = gatecast.Lookback(d) })
	}
	for _, c := range []struct {
		catchUp gatecast.CatchUp
		path    string
	}{
		{base, ""},
		{window(time.Second), ""},
		{window(time.Second - 1), "/catch_up"},
		{window(0), "/catch_up"},
		{window(-1), ""}, // off
		{window(-2), ""}, // all
		{window(-3), "/catch_up"},
		{window(-time.Hour), "/catch_up"},
		{with(func(c *gatecast.CatchUp) { c.First = gatecast.FirstEarliest }), ""},
		{with(func(c *gatecast.CatchUp) { c.First = "Latest" }), "/first_connection"},
		{with(func(c *gatecast.CatchUp) { c.First = "" }), "/first_connection"},
		{with(func(c *gatecast.CatchUp) { c.Cursors = gatecast.CursorByAddress }), ""},
		{with(func(c *gatecast.CatchUp) { c.Cursors = "name" }), "/cursors"},
		{with(func(c *gatecast.CatchUp) { c.Cursors = "" }), "/cursors"},
	} {
		spec := gatecast.AppSpec{Name: "gate", Window: gatecast.DefaultWindow, CatchUp: c.catchUp}
		err := spec.Validate()
		if c.path == "" {
			if err != nil {
				t.Errorf("%+v: %v", c.catchUp, err)
			}
			continue
		}
		var e *gatecast.Error
		if !errors.As(err, &e) || e.Code != gatecast.Invalid || e.At == nil || e.At.Path != c.path || e.Remedy == "" {
			t.Errorf("%+v: error %v, want one at %s", c.catchUp, err, c.path)
		}
	}
}

func TestASpecWithoutCatchUpGetsTheDefaults(t *testing.T) {
	got := gatecast.AppSpec{Name: "gate", CatchUp: gatecast.CatchUp{First: gatecast.FirstEarliest}}.WithDefaults()
	want := gatecast.CatchUp{Window: gatecast.DefaultLookback, First: gatecast.FirstEarliest, Cursors: gatecast.CursorByApp}
	if got.CatchUp != want {
		t.Errorf("%+v, want %+v", got.CatchUp, want)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAPatchChangesOnlyThePartsOfCatchUpItNames(t *testing.T) {
	before := gatecast.CatchUp{Window: gatecast.LookbackAll, First: gatecast.FirstEarliest, Cursors: gatecast.CursorByAddress}
	for _, c := range []struct {
		patch gatecast.AppPatch
		want  gatecast.CatchUp
	}{
		{gatecast.AppPatch{}, before},
		{gatecast.AppPatch{Lookback: new(gatecast.LookbackOff)}, gatecast.CatchUp{gatecast.LookbackOff, before.First, before.Cursors}},
		{gatecast.AppPatch{First: new(gatecast.FirstLatest)}, gatecast.CatchUp{before.Window, gatecast.FirstLatest, before.Cursors}},
		{gatecast.AppPatch{Cursors: new(gatecast.CursorByApp)}, gatecast.CatchUp{before.Window, before.First, gatecast.CursorByApp}},
	} {
		a := gatecast.App{CatchUp: before}
		c.patch.Apply(&a)
		if a.CatchUp != c.want {
			t.Errorf("%+v, want %+v", a.CatchUp, c.want)
		}
	}
}
