package egress

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// full returns the address of a listener whose queue is full. It drops what
// comes: the nearest thing to a firewall that a machine has in itself.
func full(t *testing.T) string {
	t.Helper()
	l, err := listenWithoutRoom()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { l.Close() })
	for range 8 {
		c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
		if err != nil {
			return l.Addr().String()
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Skip("this machine's queues have no end")
	return ""
}

// The transport goes on dialing for a request that has given up: without an
// end of its own, until the kernel gives up too.
func TestAConnectionIsNotWaitedForLongAfterItsRequestGaveUp(t *testing.T) {
	t.Parallel()
	address := full(t)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), deadlineKey{}, time.Now().Add(50*time.Millisecond)))
	defer cancel()
	time.AfterFunc(patience, cancel)
	_, err := dialer(t.Context(), net.Dialer{})(ctx, "tcp", address)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v, want a timeout", err)
	}
}

func TestNoConnectionIsWaitedForAfterTheClientsEnd(t *testing.T) {
	t.Parallel()
	address := full(t)
	life, end := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, end)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := dialer(life, net.Dialer{})(ctx, "tcp", address); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that it was canceled", err)
	}
}

func TestAHostThatDoesNotAnswerIsNoConnection(t *testing.T) {
	t.Parallel()
	a := post(t, newClient(t, Options{Allow: loopback()}), "http://"+full(t)+"/", 300*time.Millisecond)
	if got := Reason(a.Err); got != "no connection within 300ms" {
		t.Errorf("%q (%v)", got, a.Err)
	}
}
