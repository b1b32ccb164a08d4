package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gatecast/gatecast"
)

const (
	// patience is how long a subscriber may take to answer.
	patience = 5 * time.Second
	// maxUnposted is how many events may wait for a subscriber. Beyond it the
	// subscription ends as after a failure.
	maxUnposted = 4096
)

// Subscription is how the subscription stands.
type Subscription struct {
	URL    string `json:"url"`
	State  State  `json:"state"`
	Reason string `json:"reason,omitempty"` // of the state abnormal
	Posted uint64 `json:"posted"`           // answered with 200 since it was set
}

// State is what a subscription is doing.
type State string

// The states there are.
const (
	Normal   State = "normal"
	Abnormal State = "abnormal" // nothing is posted any more, until it is set again
)

// subscription is the one URL that events are posted to. Server.mu guards all
// but queue.
type subscription struct {
	view      Subscription
	queue     chan message // up to maxUnposted
	end       context.CancelFunc
	forgotten time.Time // until when nothing is posted
}

// Subscribe posts what comes from now on to an http or https URL, in place of
// the one before; "" ends the subscription. As with the vendor's server, one
// answer other than 200 within 5 s ends all posts until Subscribe is called again.
func (s *Server) Subscribe(address string) error {
	if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return gatecast.Errorf(gatecast.Invalid, "a subscriber has a URL such as http://127.0.0.1:8080/events")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed() {
		return gatecast.Errorf(gatecast.Unavailable, "the server is closed")
	}
	if s.sub != nil {
		s.sub.end()
		s.sub = nil
	}
	if address == "" {
		return nil
	}
	sub := &subscription{view: Subscription{URL: address, State: Normal}, queue: make(chan message, maxUnposted)}
	var ctx context.Context
	ctx, sub.end = context.WithCancel(context.Background()) // Close ends it, too
	s.sub = sub
	s.busy.Go(func() { s.deliver(ctx, sub) })
	return nil
}

// Subscription returns how it stands; the zero value if nobody has subscribed.
func (s *Server) Subscription() Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sub == nil {
		return Subscription{}
	}
	return s.sub.view
}

// offer puts a message in line. It is called under Server.mu.
func (b *subscription) offer(m message, now time.Time) {
	if b.view.State != Normal || now.Before(b.forgotten) {
		return
	}
	select {
	case b.queue <- m:
	default:
		b.fail("the subscriber is too slow")
	}
}

// fail ends all posts. It is called under Server.mu.
func (b *subscription) fail(reason string) {
	b.view.State, b.view.Reason = Abnormal, reason
	b.end()
}

// deliver posts what is in line, one at a time.
func (s *Server) deliver(ctx context.Context, sub *subscription) {
	defer sub.end()
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-sub.queue:
			err := s.post(ctx, sub.view.URL, m.posted())
			if ctx.Err() != nil {
				return
			}
			s.settle(sub, err)
		}
	}
}

func (s *Server) settle(sub *subscription, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		sub.view.Posted++
		return
	}
	sub.fail(err.Error())
	s.opts.Log.Warn("the subscription has ended", "err", err)
}

// post sends one body. Its error does not hold the URL, which may be a secret.
func (s *Server) post(ctx context.Context, address string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return gatecast.Errorf(gatecast.Invalid, "the URL cannot be posted to")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.posts.Do(req)
	if err != nil {
		return fmt.Errorf("post an event: %w", withoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }() // it is read as far as anybody wants
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the subscriber answered %d", resp.StatusCode)
	}
	return nil
}

// newPoster makes the client that posts. It follows no redirects: only a 200 of
// the subscriber itself counts.
func newPoster(carrier http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     carrier,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
