package mqtt

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

const (
	maxConnect    = 16 << 10 // bytes of a CONNECT
	maxIdentifier = 256      // bytes of a client's identifier
)

// signIn reads the CONNECT and answers it. Without an error the client has a
// seat.
func (c *client) signIn(ctx context.Context) error {
	l, err := c.readLogin(ctx)
	switch {
	case errors.Is(err, errVersion):
		return c.refuse("version", wrongVersion, err)
	case err != nil:
		return err
	case l.client == "" && !l.clean || len(l.client) > maxIdentifier:
		return c.refuse("identifier", badIdentifier, errors.New("the client needs an identifier of at most 256 bytes"))
	}
	var known bool
	if c.user, known = c.server.authenticate(l); !known {
		return c.refuseLogin(ctx, l)
	}
	if err := c.server.Journal.Accepting(); err != nil {
		return c.refuse("journal", unavailable, err)
	}
	former, ok := c.server.roster.seat(c, name{l.user, l.client})
	if !ok {
		return c.refuse("full", unavailable, errors.New("as many clients as may be are signed in"))
	}
	if former != nil {
		if err := former.leave(ctx); err != nil {
			return err
		}
	}
	c.idle = c.server.opts.Limits.Idle
	if grace := l.keepAlive * 3 / 2; grace > 0 { // section 3.1.2.10
		c.idle = min(c.idle, grace)
	}
	return c.write(appendConnack(nil, accepted, l.clean))
}

func (c *client) readLogin(ctx context.Context) (login, error) {
	if err := c.within(ctx, c.server.opts.Limits.Login); err != nil {
		return login{}, err
	}
	first, err := c.in.ReadByte()
	if err != nil {
		return login{}, err
	}
	h, err := readHead(first, c.in)
	switch {
	case err != nil:
		return login{}, err
	case h.kind != connect:
		return login{}, violation("the first packet is no CONNECT")
	case h.size > maxConnect:
		return login{}, violation("a CONNECT with %d bytes", h.size)
	}
	b, err := c.body(h.size)
	defer c.server.budget.give(c.payer, len(b))
	if err != nil {
		return login{}, err
	}
	return readConnect(b)
}

// authenticate compares also where there is no such user, so that the time it
// takes tells nothing.
func (s *Server) authenticate(l login) (*gatecast.MQTTUser, bool) {
	u, there := s.Users.MQTTUser(l.user)
	if !there {
		u = &gatecast.MQTTUser{}
	}
	given := auth.HashToken(string(l.password))
	same := subtle.ConstantTimeCompare(given[:], u.Password[:]) == 1
	return u, same && there
}

// refuse answers a CONNECT that nothing comes of.
func (c *client) refuse(why string, answer byte, err error) error {
	c.server.metrics.refused.WithLabelValues(why).Inc()
	if failed := c.write(appendConnack(nil, answer, true)); failed != nil {
		return failed
	}
	return &end{"refused", err}
}

func (c *client) refuseLogin(ctx context.Context, l login) error {
	s := c.server
	if since, due := s.refusals.due(time.Now()); due {
		s.opts.Log.Warn("an mqtt login was refused: there is no such user, or it has another password",
			"remote", c.conn.RemoteAddr().String(), "user", shorten(l.user), "client", shorten(l.client), "not_logged", since)
	}
	err := errors.New("no such user, or another password")
	if !c.holdUp(ctx) {
		s.metrics.refused.WithLabelValues("login").Inc()
		return &end{"refused", err}
	}
	return c.refuse("login", badLogin, err)
}

// holdUp waits as long as those must whose address was refused too often. It
// reports false if that would be too long.
func (c *client) holdUp(ctx context.Context) bool {
	wait, ok := c.server.pillory.wait(c.conn.RemoteAddr(), time.Now())
	if !ok || wait > 0 && !sleep(ctx, wait) {
		return false
	}
	return true
}

// leave cuts a connection off whose client has come back on another. What it
// has sent before is settled first: the order of a client's events is kept.
func (c *client) leave(ctx context.Context) error {
	_ = c.conn.Close() // its reader ends
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func shorten(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}

// sleep waits for d, and reports whether ctx has lasted for so long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
