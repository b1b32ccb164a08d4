package egress

import (
	"context"
	"net"
	"time"
)

// deadlineKey is under which a request's context carries its deadline.
// [http.Transport] dials without the request's end in sight, so that another
// request can have the connection; its values it does pass on.
type deadlineKey struct{}

// slack is how much longer a connection is waited for than the request that
// asked for it waits. It keeps the two from ending at the same moment, when
// either could be taken for the reason.
const slack = 100 * time.Millisecond

// dialer makes connections that end with life, and that are not waited for
// long after the request that asked for them has given up.
func dialer(life context.Context, d net.Dialer) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if t, ok := ctx.Value(deadlineKey{}).(time.Time); ok {
			var done context.CancelFunc
			ctx, done = context.WithDeadline(ctx, t.Add(slack))
			defer done()
		}
		unhook := context.AfterFunc(life, cancel)
		defer unhook()
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return mortal{c, context.AfterFunc(life, func() { _ = c.Close() })}, nil
	}
}

// mortal is a connection that is closed when its client is.
type mortal struct {
	net.Conn
	unhook func() bool
}

func (m mortal) Close() error {
	m.unhook()
	return m.Conn.Close()
}
