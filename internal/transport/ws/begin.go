package ws

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/resume"
	"github.com/gatecast/gatecast/internal/wsconn"
	"github.com/gatecast/gatecast/senselink"
)

// beginning is what stands before a connection's first event.
type beginning struct {
	open     bool             // where it begins is still to be found out
	cursor   *gatecast.Cursor // it comes back to this; nil: what it asked for decides
	edge     time.Time        // nothing stored before is for the app; zero: no bound
	greeting *wsconn.Frame    // to be sent first; nil if there is nothing to say
}

// beginTimeout bounds how long a handshake waits for a new cursor to be on disk.
const beginTimeout = 5 * time.Second

// consumer returns whose cursor a connection moves, and whether it moves one.
// One that chooses its own place, or sees only a part of what its app may see,
// moves none unless it has a name of its own: what it confirms says nothing
// about the others.
func consumer(app *gatecast.App, asked *resume.Request, remote string) (gatecast.Consumer, bool) {
	catchUp := app.CatchUp.WithDefaults()
	switch {
	case catchUp.Window == gatecast.LookbackOff:
		return gatecast.Consumer{App: app.Key}, false
	case asked.Client != "":
		return gatecast.NamedConsumer(app.Key, asked.Client), true
	case asked.Since.Kind != resume.Unsaid || asked.Narrow():
		return gatecast.Consumer{App: app.Key}, false
	case catchUp.Cursors == gatecast.CursorByAddress:
		host, _, err := net.SplitHostPort(remote)
		if err != nil {
			host = remote
		}
		return gatecast.AddressConsumer(app.Key, host), true
	}
	return gatecast.Consumer{App: app.Key}, true
}

// ask reads what a client asks for beyond the vendor's protocol. Its error is
// for the client.
func (s *Server) ask(app *gatecast.App, r *http.Request) (resume.Request, error) {
	// What it asks for is kept as long as the connection, and a part of a string
	// keeps the whole: here, the line of the request.
	query, err := url.ParseQuery(strings.Clone(r.URL.RawQuery))
	if err != nil { // what cannot be read might have been one of them
		return resume.Request{}, &gatecast.Error{
			Code: gatecast.Invalid, Message: "the query of the URL cannot be read", Remedy: "escape its values, and put & between them", Cause: err,
		}
	}
	asked, err := resume.Parse(query)
	if err != nil {
		return resume.Request{}, err
	}
	if asked.Client != "" && app.CatchUp.Window == gatecast.LookbackOff {
		return resume.Request{}, &gatecast.Error{
			Code:    gatecast.Invalid,
			Message: "parameter client is given, but the app remembers nobody",
			Remedy:  "leave it out, or give the app a catch-up window",
		}
	}
	if asked.InFlight == 0 || asked.InFlight > s.opts.MaxInFlight {
		asked.InFlight = s.opts.MaxInFlight
	}
	return asked, nil
}

// enter finds a new connection's cursor, or makes one, and with it where the
// connection begins as far as that is known without reading the journal. A
// consumer's first cursor is on disk before the client hears that it is
// connected: a crash right after must not make it a stranger again.
func (s *Server) enter(ctx context.Context, c *conn, app *gatecast.App) error {
	asked, keeps := &c.who.asked, c.receipt.keeps
	window := app.CatchUp.WithDefaults()
	c.begin.open, c.begin.edge = asked.OptedIn, window.Window.Edge(s.opts.Now())
	if !keeps {
		c.openAtHead()
		return nil
	}
	var at gatecast.Seq
	ctx, cancel := context.WithTimeout(ctx, beginTimeout)
	defer cancel()
	if _, there := s.cursors.Cursor(c.receipt.consumer); !there {
		var err error
		if at, err = s.first(ctx, window.First, c); err != nil {
			return err
		}
	}
	cur, _, err := s.cursors.Begin(ctx, c.receipt.consumer, at) // waits for a first one only
	switch {
	case gatecast.CodeOf(err) == gatecast.TooMany && asked.Client != "":
		return err
	case gatecast.CodeOf(err) == gatecast.TooMany: // an address, which can do nothing about it: it is live only
		s.opts.Log.Warn("an address of an app has no cursor", "app", app.Key, "from", c.who.remote, "err", err)
		c.receipt.keeps = false
		c.openAtHead()
		return nil
	case err != nil:
		s.opts.Log.Warn("a consumer's first cursor could not be stored yet", "app", app.Key, "err", err)
	}
	if asked.Since.Kind == resume.Unsaid {
		c.begin.cursor = &cur
		c.begin.open = c.begin.open || cur.Seq != c.who.born || cur.Epoch != s.opts.Epoch
		c.trail.pos.Store(uint64(cur.Seq))
	}
	c.openAtHead()
	return nil
}

// openAtHead begins a connection with what is accepted from now on, unless it
// is still to be found out where it begins.
func (c *conn) openAtHead() {
	if !c.begin.open {
		c.startAfter(c.who.born)
	}
}

// first returns where a consumer begins that was never here before: where it
// asks to, or where its app says.
func (s *Server) first(ctx context.Context, from gatecast.First, c *conn) (gatecast.Seq, error) {
	since := c.who.asked.Since
	switch {
	case since.Kind == resume.Unsaid && from == gatecast.FirstEarliest:
		since.Kind = resume.Earliest
	case since.Kind == resume.Unsaid, since.Kind == resume.Latest:
		return s.inherited(c), nil
	}
	start, err := resume.Begin(ctx, s.history, since, c.begin.edge)
	if err != nil {
		return 0, fmt.Errorf("find where a first connection begins: %w", err)
	}
	return start.After, nil
}

// inherited returns where an address begins whose app has only now begun to
// keep cursors by address: where the app is. Everybody else begins at the head.
func (s *Server) inherited(c *conn) gatecast.Seq {
	app := gatecast.Consumer{App: c.who.app}
	if c.receipt.consumer == app || c.who.asked.Client != "" {
		return c.who.born
	}
	cur, there := s.cursors.Cursor(app)
	if !there || cur.Epoch != s.opts.Epoch {
		return c.who.born
	}
	return min(cur.Seq, c.who.born)
}

// openFromRing begins a connection where its cursor is, if the ring holds
// everything after it, so that nothing is lost to it: no reading of the
// journal, and so no waiting, for those who were away only for a moment.
func (s *shard) openFromRing(c *conn) bool {
	b := &c.begin
	head := s.ring.Head()
	if b.cursor == nil || b.cursor.Epoch != s.opts.Epoch || b.cursor.Seq > head {
		return false
	}
	events, ok := s.ring.Window(b.cursor.Seq, s.window[:0])
	if !ok || len(events) > 0 && events[0].Stored.Before(b.edge) {
		return false
	}
	after := b.cursor.Seq
	c.startAfter(after)
	if c.who.asked.OptedIn {
		b.greeting = wsconn.NewText(senselink.Resumed(after, head, s.opts.Epoch))
	}
	return true
}

// startAfter ends the beginning.
func (c *conn) startAfter(pos gatecast.Seq) {
	c.trail.start.Store(uint64(pos))
	c.trail.pos.Store(uint64(pos))
	c.begin.open, c.begin.cursor = false, nil
	c.trail.opened.Store(true)
}

// openFromJournal finds out where a connection begins.
func (r *replayer) openFromJournal(ctx context.Context, c *conn) error {
	b := &c.begin
	start, err := r.find(ctx, c)
	if err != nil {
		return err
	}
	if start.Gap != nil {
		r.lose(ctx, c, *start.Gap, b.edge, b.cursor != nil) // first: what is confirmed counts as not lost
	}
	c.startAfter(start.After)
	if c.who.asked.OptedIn && start.Gap == nil {
		b.greeting = wsconn.NewText(senselink.Resumed(start.After, r.ring.Head(), r.opts.Epoch))
	}
	return nil
}

func (r *replayer) find(ctx context.Context, c *conn) (resume.Start, error) {
	since := c.who.asked.Since
	switch cur := c.begin.cursor; {
	case cur != nil:
		since = resume.Since{Kind: resume.AfterSeq, Seq: cur.Seq, Epoch: cur.Epoch}
	case since.Kind == resume.Unsaid, since.Kind == resume.Latest:
		return resume.Start{After: c.who.born}, nil
	}
	return resume.Begin(ctx, r.history, since, c.begin.edge)
}

// lose records what a connection is not sent, and tells it if it is one that
// understands: the vendor's protocol has no word for it. Complete is since when
// nothing is missing; zero if that is to be found out. Ours is whether the
// cursor comes to lack it: where a client asked for a place of its own that is
// not there, its cursor stands where it stood.
func (r *replayer) lose(ctx context.Context, c *conn, gap gatecast.GapNotice, complete time.Time, ours bool) {
	if c.who.asked.OptedIn {
		c.begin.greeting = wsconn.NewText(senselink.Gap(gap, r.ring.Head(), r.opts.Epoch))
	}
	if !ours {
		return // it asked for more than there is for it, and was told; nothing that it was owed is lost
	}
	r.metrics.gap(gap)
	r.opts.Log.Warn("events are lost to a consumer", "app", c.who.app, "consumer", c.receipt.consumer.Name,
		"after", gap.From, "up_to", gap.To, "reason", string(gap.Reason))
	if !c.receipt.keeps {
		return
	}
	if gap.Reason != gatecast.GapWindow {
		complete = r.storedAfter(ctx, gap.To)
	}
	if gap.Reason == gatecast.GapEpoch || gap.Reason == gatecast.GapAhead {
		gap.From = gap.To // a position of another journal; how many are lost is not known
	}
	r.cursors.Lose(c.receipt.consumer, gap, complete)
}

// storedAfter returns when the first event after a position was accepted, or
// the time now if there is none, or it cannot be read.
func (r *replayer) storedAfter(ctx context.Context, pos gatecast.Seq) time.Time {
	events, err := r.history.Read(ctx, pos, make([]*gatecast.Event, 0, 1))
	if err != nil || len(events) == 0 {
		return r.opts.Now()
	}
	return events[0].Stored
}
