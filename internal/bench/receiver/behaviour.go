package receiver

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Call is a request that came to an inbox.
type Call struct {
	ID      string   // webhook-id
	Events  []uint64 // numbers of the events in its body, in their order
	Try     int      // it is so many times that the first of them came, from 1
	Batched bool     // the body is an array
}

// Answer is what an endpoint does with a call.
type Answer struct {
	Status     int
	RetryAfter time.Duration // whole seconds are told; zero: none
	Location   string        // where else to go; empty: none
	Delay      time.Duration // before anything else happens
	Cut        Cut           // instead of an answer
}

// Cut is a way in which a connection ends without an answer.
type Cut int

// The ways there are.
const (
	NoCut   Cut = iota
	Hang        // nothing happens until the caller leaves
	Reset       // RST
	MidHead     // the connection is closed in the middle of the answer's head
	MidBody     // the same behind "200 OK", in the body: the call counts as accepted
)

// Behaviour decides what an endpoint does with a call. It is called by many
// goroutines at once.
type Behaviour func(Call) Answer

// Always answers every call alike.
func Always(a Answer) Behaviour { return func(Call) Answer { return a } }

// OK answers 200 at once, as an inbox does that nobody has told otherwise.
func OK() Behaviour { return Status(http.StatusOK) }

// Status answers with that status at once.
func Status(status int) Behaviour { return Always(Answer{Status: status}) }

// Cutting ends every connection in that way.
func Cutting(c Cut) Behaviour { return Always(Answer{Cut: c}) }

// Busy answers 429 and says when to come back.
func Busy(retryAfter time.Duration) Behaviour {
	return Always(Answer{Status: http.StatusTooManyRequests, RetryAfter: retryAfter})
}

// Slow answers as b does, so much later.
func Slow(d time.Duration, b Behaviour) Behaviour {
	return func(c Call) Answer {
		a := b(c)
		a.Delay += d
		return a
	}
}

// Refusing answers 400 to calls with an event of which bad says so, and the
// others as b does.
func Refusing(bad func(event uint64) bool, b Behaviour) Behaviour {
	return func(c Call) Answer {
		for _, n := range c.Events {
			if bad(n) {
				return Answer{Status: http.StatusBadRequest}
			}
		}
		return b(c)
	}
}

// Share is a behaviour and how often it is chosen.
type Share struct {
	P  float64 // of 1
	Do Behaviour
}

// Mix chooses for each call anew, by lot. What the shares leave over answers
// 200. The same seed draws the same lots in the order of the calls.
func Mix(seed uint64, shares ...Share) Behaviour {
	var mu sync.Mutex // guards rng, which draws one lot at a time
	rng := rand.New(rand.NewPCG(seed, 1))
	draw := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return rng.Float64()
	}
	return func(c Call) Answer {
		lot := draw()
		for _, s := range shares {
			if lot < s.P {
				return s.Do(c)
			}
			lot -= s.P
		}
		return Answer{Status: http.StatusOK}
	}
}
