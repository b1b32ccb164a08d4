package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gatecast/gatecast"
)

// patient is an app with one stock client behind a network of its own, and a
// supervisor that starts the client again whenever it has ended.
type patient struct {
	stock
	app       app
	net       *proxy
	judge     func(line string) (int64, error) // see judge; nil: that
	lives     []*life                          // the last one may still go on
	confirmed gatecast.Seq                     // what lies up to here must not be sent again
	surprises int                              // lives that ended although nobody ended them
}

// life is one connection of a patient's client, as a rule from the program's
// start to its end.
type life struct {
	*program
	judge func(line string) (int64, error) // the patient's
	floor gatecast.Seq                     // the patient's confirmed when it began
	over  chan struct{}                    // closed when it has ended

	mu      sync.Mutex // guards the fields below; nothing waits under it
	greeted bool       // it has printed 20000
	printed []int64    // numbers of the events it has printed, in order
	fault   string     // the first line that was not as it should be
	last    string     // line
}

// admit makes an app for each stock client, and starts it.
func admit(t *testing.T, s *server) []*patient {
	t.Helper()
	var all []*patient
	for _, c := range usableStocks(t) {
		all = append(all, &patient{stock: c, app: s.createAppFor(t, c.name), net: newProxy(t)})
	}
	begin(t, s, all)
	ctx := within(t)
	for _, p := range all {
		p.note(ctx, t, s)
		p.now().floor = p.confirmed // nothing was posted meanwhile
	}
	return all
}

// begin starts the client of every patient and waits until each is connected.
func begin(t *testing.T, s *server, all []*patient) {
	t.Helper()
	for _, p := range all {
		p.live(t, s)
	}
	for _, p := range all {
		p.await(t, s, "connected", func(l *life) bool { return l.greeted })
	}
}

// live starts the patient's client.
func (p *patient) live(t *testing.T, s *server) {
	t.Helper()
	p.net.leadTo(s)
	url := signedURL(p.net.base(), p.app)
	l := &life{judge: p.judge, floor: p.confirmed, over: make(chan struct{})}
	if l.judge == nil {
		l.judge = judge
	}
	switch {
	case !p.stays:
		l.program = p.launch(t, url)
	case len(p.lives) == 0:
		l.program = p.launch(t, "-")
	default:
		l.program = p.now().program
	}
	if p.stays {
		if _, err := fmt.Fprintln(l.urls, url); err != nil {
			t.Fatalf("hand %s its next URL: %v", p.name, err)
		}
	}
	p.lives = append(p.lives, l)
	go l.listen(p.stays)
}

// now is the life that goes on.
func (p *patient) now() *life { return p.lives[len(p.lives)-1] }

// await waits for a state of the patient's client. One that has ended before
// is started again, as its supervisor would: on a machine that is too busy, the
// server may take it for dead.
func (p *patient) await(t *testing.T, s *server, what string, ok func(*life) bool) {
	t.Helper()
	eventually(t, p.name+" is "+what, func(context.Context) bool {
		l := p.now()
		over := false
		select {
		case <-l.over:
			over = true
		default:
		}
		l.mu.Lock()
		done, last := ok(l), l.last
		l.mu.Unlock()
		if over && !done {
			p.surprises++
			t.Logf("%s has ended before it was %s; its last line was %.100s", p.name, what, last)
			p.live(t, s)
		}
		return done
	})
}

// note asks the server how far the patient has confirmed.
func (p *patient) note(ctx context.Context, t *testing.T, s *server) {
	t.Helper()
	c, err := s.cursor(ctx, p.app)
	if err != nil {
		t.Fatalf("where is %s: %v", p.name, err)
	}
	if c.Seq < p.confirmed {
		t.Errorf("the cursor of %s has gone back from %d to %d", p.name, p.confirmed, c.Seq)
	}
	if c.Lost != 0 {
		t.Errorf("the server gives up %d positions of %s", c.Lost, p.name)
	}
	p.confirmed = c.Seq
}

// ended waits until every client has ended by itself.
func ended(t *testing.T, all []*patient) {
	t.Helper()
	ctx := within(t)
	for _, p := range all {
		select {
		case <-p.now().over:
		case <-ctx.Done():
			t.Fatalf("%s does not notice the end of its connection", p.name)
		}
	}
}

// listen takes what the client prints until the life ends: with the program,
// or with the connection if the program stays.
func (l *life) listen(stays bool) {
	defer close(l.over)
	for line := range l.lines {
		if l.take(line); stays && strings.HasPrefix(line, "close ") {
			return
		}
	}
}

// take judges a line at once, so that only numbers have to be kept.
func (l *life) take(line string) {
	n, err := l.judge(line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = line
	switch {
	case err != nil && l.fault == "":
		l.fault = err.Error()
	case line == "text "+connected && !l.greeted:
		l.greeted = true
	case line == "text "+connected, n >= 0 && !l.greeted:
		l.fault = "this is not the place for " + line
	case n >= 0:
		l.printed = append(l.printed, n)
	}
}

// pushed returns the push that a line is, or nothing if it is none.
func pushed(line string) (message string, err error) {
	message, isText := strings.CutPrefix(line, "text ")
	switch {
	case !isText && !strings.HasPrefix(line, "open") && !strings.HasPrefix(line, "close "):
		return "", fmt.Errorf("it printed %q", line)
	case !isText, message == connected, message == heartbeat:
		return "", nil
	}
	return message, nil
}

// judge returns the number of the event that a line is, or -1 if it is none.
// Its bytes must be those of the event.
func judge(line string) (int64, error) {
	message, err := pushed(line)
	if message == "" || err != nil {
		return -1, err
	}
	var m struct{ Data struct{ ID int64 } }
	if err := json.Unmarshal([]byte(message), &m); err != nil {
		return -1, fmt.Errorf("it was sent %s: %w", message, err)
	}
	if want := sample(m.Data.ID).push(); message != want {
		return -1, fmt.Errorf("it was sent\n%s\nwant\n%s", message, want)
	}
	return m.Data.ID, nil
}

// check compares the lives of a patient that has ended with the journal, of
// which events up to head were there before it connected for the first time:
// no life leaves a hole behind the one before or within itself, nothing comes
// again that had been confirmed, and the last life ends where the journal does.
// It returns how many events came again.
func (p *patient) check(t *testing.T, events []gatecast.Event, head int) (repeated int) {
	t.Helper()
	return p.checkPlaces(t, events, placesOf(t, events), head)
}

// checkPlaces is the same where events have other numbers.
func (p *patient) checkPlaces(t *testing.T, events []gatecast.Event, places map[int64]int, head int) (repeated int) {
	t.Helper()
	next := head // the first place it has not printed yet
	for i, l := range p.lives {
		if l.fault != "" {
			t.Errorf("%s, life %d: %s", p.name, i, l.fault)
		}
		for j, n := range l.printed {
			at, stored := places[n]
			if !stored {
				t.Fatalf("%s, life %d: event %d was pushed, but is not in the journal", p.name, i, n)
			}
			switch {
			case j > 0 && at != places[l.printed[j-1]]+1:
				t.Fatalf("%s, life %d: place %d of the journal came right after place %d", p.name, i, at, places[l.printed[j-1]])
			case j == 0 && at > next:
				t.Fatalf("%s misses places %d to %d of the journal: life %d begins after them", p.name, next, at-1, i)
			case j == 0 && events[at].Seq <= l.floor:
				t.Fatalf("%s, life %d: begins with event %d, although all up to %d was confirmed before", p.name, i, events[at].Seq, l.floor)
			}
			if at < next {
				repeated++
			}
			next = max(next, at+1)
		}
	}
	if next != len(events) {
		t.Errorf("%s has seen the journal up to place %d of %d, in %d lives", p.name, next, len(events), len(p.lives))
	}
	if p.surprises > len(p.lives)/4 {
		t.Errorf("%s ended %d times although nobody had ended it", p.name, p.surprises)
	}
	t.Logf("%-25s %d lives, %d events, %d of them twice", p.name, len(p.lives), next-head, repeated)
	return repeated
}

// placesOf returns where in the journal the events of the load are, by number.
func placesOf(t *testing.T, events []gatecast.Event) map[int64]int {
	t.Helper()
	places := make(map[int64]int, len(events))
	for i, e := range events {
		n, err := strconv.ParseInt(strings.TrimPrefix(e.ID, "e2e-"), 10, 64)
		if err != nil {
			t.Fatalf("a foreign event %s is in the journal", e.ID)
		}
		places[n] = i
	}
	return places
}
