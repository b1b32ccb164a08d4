package bench

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gatecast/gatecast/internal/bench/subject"
)

// doors compares what a delivery costs over TLS, and to clients that asked for
// compression, with what it costs plain.
func doors(ctx context.Context, l *lab) error {
	n := cmp.Or(l.opts.Clients, 1000)
	if err := l.files(n); err != nil {
		return err
	}
	ways := []struct {
		name string
		own  subject.Own
		wish wish
	}{
		{name: "plain"},
		{name: "TLS", own: subject.Own{TLS: true}},
		{name: "compressed", own: subject.Own{Settings: []string{"--websocket.deflate=true"}}, wish: wish{deflate: true}},
	}
	if l.opts.Server != "" {
		ways = ways[:1] // a server that runs has the door it has
		ways[0].name = "this server"
	}
	for _, w := range ways {
		if err := l.door(ctx, w.name, w.own, w.wish, n); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

func (l *lab) door(ctx context.Context, name string, o subject.Own, w wish, n int) error {
	defer l.close()
	s, err := l.stage(ctx, o, n, w)
	if err != nil {
		return err
	}
	for _, load := range []struct {
		name           string
		rounds, events int
	}{{"one by one", 20, 1}, {"burst of 200", 3, burst}} {
		l.tell("%s, %s, to %s clients", name, load.name, thousands(int64(n)))
		var all []spent
		for range load.rounds {
			one, err := s.deliver(ctx, load.events)
			if err != nil {
				return err
			}
			all = append(all, one)
		}
		l.found(Figure{What: fmt.Sprintf("%s, %s, %s clients", name, load.name, thousands(int64(n))), Value: middle(all).perSecond(), Unit: "deliveries/s"})
		l.found(Figure{What: fmt.Sprintf("%s, %s, server CPU per delivery", name, load.name), Value: total(all).perDelivery(), Unit: "µs"})
	}
	return l.memory(ctx, s, name+", server memory")
}
