package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// postEvery is how often a server's first post is looked for.
const postEvery = 500 * time.Millisecond

func sourceSubscribe(t terminal) *cli.Command {
	const upstream = "SETTING IT FROM HERE"
	return &cli.Command{
		Name: "subscribe", Usage: "Have a server post its events to a source, and wait for the first", ArgsUsage: "NAME",
		Description: `Shows the URL to set as that of the server's event subscription, waits until something is
posted to it, and says how it was understood. How a SenseLink server is told over its
interface is not public: there, somebody sets the URL by hand. At another gatecast
(--upstream-url, with a token of the scope admin there) and at "gatecast simulate
senselink" it is set from here.

Exits with 0 if what was posted was understood, with 1 if it was refused, and with 5 if
nothing was posted in time. An interrupt ends the waiting; the URL stays good.`,
		Flags: remoteFlags(
			&cli.StringFlag{Name: "base-url", Usage: "`URL` under which the server reaches this gatecast, such as https://gate.example; default is --server", HideDefault: true},
			&cli.DurationFlag{Name: "wait", Value: 2 * time.Minute, Usage: "for how long to wait for the first post"},
			&cli.BoolFlag{Name: "no-wait", Usage: "only show the URL, or set it"},
			&cli.StringFlag{Name: "upstream-url", Usage: "`URL` of a gatecast or of a stand-in that is to post", Category: upstream},
			&cli.StringFlag{Name: "upstream-token", Usage: "`TOKEN` for that gatecast; also @FILE or -", HideDefault: true, Category: upstream},
			&cli.StringFlag{Name: "upstream-app", Usage: "`KEY` of its app whose subscription this is; default is the app key of the source", HideDefault: true, Category: upstream},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			a, err := oneArgument(c)
			if err != nil {
				return err
			}
			if c.Duration("wait") <= 0 {
				return usage(c, "--wait %v is no time to wait; give --no-wait", c.Duration("wait"))
			}
			s := &subscriber{t: t, c: c, api: a, name: c.Args().First()}
			return s.run(ctx)
		},
	}
}

// subscriber has one source posted to.
type subscriber struct {
	t    terminal
	c    *cli.Command
	api  *api
	name string

	address string // that the server posts to
	set     string // where it has been set from here; empty: somebody must do so by hand
}

// subscribed is what is printed as JSON.
type subscribed struct {
	URL  string    `json:"url"`
	Set  string    `json:"set,omitempty"` // "gatecast" or "stand-in": where it has been set
	Post *postView `json:"post,omitempty"`
}

// postView is what a server has posted last.
type postView struct {
	At          time.Time `json:"at"`
	From        string    `json:"from"`
	Size        int       `json:"size"`
	Events      int       `json:"events"`
	Accepted    int       `json:"accepted"`
	First       uint64    `json:"first,omitempty"`
	Kind        string    `json:"kind,omitempty"`
	Device      string    `json:"device,omitempty"`
	Error       string    `json:"error,omitempty"`
	Quarantined bool      `json:"quarantined"`
}

func (s *subscriber) run(ctx context.Context) error {
	base, err := s.base()
	if err != nil {
		return err
	}
	var src sourceView
	if _, err := s.api.call(ctx, http.MethodGet, sourcePath(s.name), nil, &src); err != nil {
		return err
	}
	if src.State.Status == string(gatecast.SourcePaused) {
		e := gatecast.Errorf(gatecast.Conflict, "the source is paused: whatever is posted would be refused, and the server would stop for good")
		e.Remedy = "resume it first: gatecast source resume " + s.name
		return e
	}
	var token struct {
		Path string `json:"path"`
	}
	if _, err := s.api.call(ctx, http.MethodGet, sourcePath(s.name, "token"), nil, &token); err != nil {
		return err
	}
	s.address = base + token.Path
	s.checkBase(ctx, base)
	if s.c.IsSet("upstream-url") {
		if s.set, err = s.register(ctx, src); err != nil {
			return err
		}
	}
	if err := s.introduce(base); err != nil || s.c.Bool("no-wait") {
		return err
	}
	post, err := s.wait(ctx, src.State.Post)
	if err != nil {
		return err
	}
	return s.tell(post)
}

// base is under what URL the server that posts reaches us.
func (s *subscriber) base() (string, error) {
	text := strings.TrimRight(s.c.String("base-url"), "/")
	if !s.c.IsSet("base-url") {
		return s.api.base, nil
	}
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", usage(s.c, "--base-url %q is not a URL such as https://gate.example", s.c.String("base-url"))
	}
	return text, nil
}

// checkBase warns of a URL that does not lead here. That from this machine it
// does not is no proof that from another one it does not.
func (s *subscriber) checkBase(ctx context.Context, base string) {
	if base == s.api.base {
		return
	}
	var alive struct {
		Status string `json:"status"`
	}
	_, err := newAPI(base, "").call(ctx, http.MethodGet, "/healthz", nil, &alive)
	switch {
	case ctx.Err() != nil:
	case gatecast.CodeOf(err) == gatecast.Unavailable:
		fmt.Fprintf(s.t.err, "From this machine, %s does not answer: %v\n", clean(base), rootCause(err))
	case err != nil || alive.Status != "alive":
		fmt.Fprintf(s.t.err, "From this machine, %s leads to something else than gatecast\n", clean(base))
	}
}

// introduce shows the URL, and what to do with it.
func (s *subscriber) introduce(base string) error {
	if s.c.Bool("json") {
		if s.c.Bool("no-wait") {
			return printValue(s.t.out, subscribed{URL: s.address, Set: s.set})
		}
		return nil
	}
	if err := properties(s.t.out, "post to", clean(s.address)); err != nil {
		return err
	}
	if u, err := url.Parse(base); err == nil && onThisMachine(u.Hostname()) && !s.upstreamHere() {
		fmt.Fprintf(s.t.err, "Another machine does not reach %s: give a name of this one with --base-url\n", clean(u.Host))
	}
	if s.set != "" {
		fmt.Fprintf(s.t.err, "It is set at the %s, which posts what happens from now on\n", s.set)
		return nil
	}
	fmt.Fprint(s.t.err, `At the SenseLink server, as its administrator (names and places differ between versions;
its manual has them under "event subscription"):
  1. open the event subscription of the app that events are to come from
  2. set the URL above as the one that is called back, and switch it on
  3. choose records and alarms, and save; a state of "abnormal" from before is ended by that
  4. let somebody pass a door, so that there is an event
Whoever knows the URL can send in events: it is a secret.
`)
	return nil
}

// upstreamHere reports whether the server that posts is on this machine too.
func (s *subscriber) upstreamHere() bool {
	u, err := url.Parse(s.c.String("upstream-url"))
	return err == nil && onThisMachine(u.Hostname())
}

// wait waits for a post after the one there was.
func (s *subscriber) wait(ctx context.Context, before *postView) (*postView, error) {
	limit, cancel := context.WithTimeout(ctx, s.c.Duration("wait"))
	defer cancel()
	p := newWaitLine(s.t.err)
	defer p.end()
	tick := time.NewTicker(postEvery)
	defer tick.Stop()
	for began := time.Now(); ; {
		var src sourceView
		_, err := s.api.call(limit, http.MethodGet, sourcePath(s.name), nil, &src)
		switch post := src.State.Post; {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case limit.Err() != nil:
			return nil, s.silent()
		case gatecast.CodeOf(err) == gatecast.Unavailable:
			p.tell(err.Error()) // it goes on when the server does
		case err != nil:
			return nil, err
		case post != nil && (before == nil || post.At.After(before.At)):
			return post, nil
		default:
			p.tell(fmt.Sprintf("waiting for the first post: %v of %v", time.Since(began).Round(time.Second), s.c.Duration("wait")))
		}
		select {
		case <-tick.C:
		case <-limit.Done():
		}
	}
}

func (s *subscriber) silent() error {
	e := gatecast.Errorf(gatecast.Unavailable, "nothing was posted within %v", s.c.Duration("wait"))
	e.Remedy = fmt.Sprintf("see that its machine reaches the URL (there, curl -d '[]' URL ends this waiting and stores nothing), and that something happens at a door; later: gatecast source show %s", s.name)
	return e
}

// tell says what was posted, and how it was understood.
func (s *subscriber) tell(p *postView) error {
	var err error
	if s.c.Bool("json") {
		err = printValue(s.t.out, subscribed{URL: s.address, Set: s.set, Post: p})
	} else {
		err = properties(s.t.out, p.pairs()...)
	}
	if err != nil || p.Error == "" {
		return err
	}
	e := gatecast.Errorf(gatecast.Conflict, "the post was refused: %s", clean(p.Error))
	e.Remedy = "set the subscription again at the server when that is mended, for it may post nothing more"
	if p.Quarantined {
		e.Remedy = "it is in quarantine: gatecast quarantine list; then set the subscription again at the server, for it may post nothing more"
	}
	return e
}

func (p *postView) pairs() []string {
	pairs := []string{"posted at", timeText(p.At), "from", clean(p.From), "size", bytesText(uint64(p.Size))}
	switch {
	case p.Error != "":
		return append(pairs, "refused", clean(p.Error))
	case p.Events == 0:
		return append(pairs, "understood", "yes, and nothing in it is for this source, such as an event of another company")
	}
	text := fmt.Sprintf("yes: %d events, the first a %s of %s", p.Events, clean(p.Kind), cmp.Or(clean(p.Device), "no device"))
	stored := "nothing, it was there already"
	if p.Accepted > 0 {
		stored = fmt.Sprintf("%d events, from position %d on", p.Accepted, p.First)
	}
	return append(pairs, "understood", text, "stored", stored)
}
