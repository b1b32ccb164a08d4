package wsconn

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/flate"
)

// counting hears a client and counts.
type counting struct{ messages, pongs atomic.Int64 }

func (c *counting) Message(bool, []byte) { c.messages.Add(1) }
func (c *counting) Pong([]byte)          { c.pongs.Add(1) }
func (*counting) Drained()               {}

// serveLine serves one end of a pipe and returns the other. Pipes have no
// buffer, and block in a way that synctest knows.
func serveLine(t *testing.T, o Options, h Handler) (client net.Conn, ended <-chan error) {
	t.Helper()
	client, line := net.Pipe()
	c := newConn(line, nil, false, o.withDefaults())
	result := make(chan error, 1)
	go func() { result <- c.Serve(h) }()
	t.Cleanup(func() { _ = client.Close() })
	return client, result
}

// flood sends one frame again and again until the connection ends.
func flood(to net.Conn, frame []byte) {
	chunk := slices.Repeat(frame, 512)
	for {
		if _, err := to.Write(chunk); err != nil {
			return
		}
	}
}

func TestAClientThatFloodsIsReadNoFasterThanItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, seconds = 64 << 10, 20
		var h counting
		nc, ended := serveLine(t, Options{MaxInbound: rate}, &h)
		go flood(nc, client(0x8a, "1")) // a Pong that nobody asked for
		time.Sleep(seconds * time.Second)
		// What it may at once, what has come in since, and one read beyond it.
		perFrame := len(client(0x8a, "1")) + frameCost
		most := int64(rate*(seconds+1)/perFrame + readSize/perFrame + readSize)
		if n := h.pongs.Load(); n < rate*(seconds-1)/int64(perFrame) || n > most {
			t.Errorf("heard %d frames in %d s, want about %d", n, seconds, rate*seconds/perFrame)
		}
		_ = nc.Close()
		<-ended
	})
}

func TestABurstWithinTheBudgetIsHeardAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h counting
		nc, ended := serveLine(t, Options{}, &h)
		began := time.Now()
		for range 1000 {
			if _, err := nc.Write(client(0x81, `{"ack":123456}`)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n, took := h.messages.Load(), time.Since(began); n != 1000 || took != 0 {
			t.Errorf("heard %d of 1000 messages after %v", n, took)
		}
		_ = nc.Close()
		<-ended
	})
}

func TestASlowedReaderEndsWithItsConnection(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"aborted": (*Conn).Abort,
		"closed":  func(c *Conn) { c.Close(StatusRestart, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h counting
				nc, line := net.Pipe()
				defer nc.Close()
				c := newConn(line, nil, false, Options{MaxInbound: 1}.withDefaults()) // the first read is owed for hours
				result := make(chan error, 1)
				go func() { result <- c.Serve(&h) }()
				go flood(nc, client(0x8a, "1"))
				go func() { _, _ = io.Copy(io.Discard, nc) }()
				time.Sleep(time.Second)
				end(c)
				began := time.Now()
				<-result
				if took, most := time.Since(began), c.set.closeTimeout+nap; took > most {
					t.Errorf("Serve ended %v later, want %v at most", took, most)
				}
			})
		})
	}
}

func TestOfPingsThatComeTogetherTheNewestIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nc, ended := serveLine(t, Options{}, new(counting))
		// The first byte is read alone, the rest in one go.
		go func() { _, _ = nc.Write(frames(client(0x89, "one"), client(0x89, "two"), client(0x89, "three"))) }()
		got := make([]byte, 64)
		n, err := nc.Read(got)
		if want := "\x8a\x05three"; err != nil || string(got[:n]) != want {
			t.Errorf("answered with %q, %v; want %q", got[:n], err, want)
		}
		_ = nc.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := nc.Read(got); err == nil {
			t.Errorf("and then with %q", got[:n])
		}
		_ = nc.Close()
		<-ended
	})
}

// TestReadDoesNotAllocate has a real client send Pongs and Pings and messages,
// one after the other.
func TestReadDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop things at random under the race detector")
	}
	p, s, heard := openSignalling(t)
	defer s.Abort()
	for what, frame := range map[string][]byte{
		"a pong":    client(0x8a, "4711"),
		"a message": client(0x81, `{"ack":4711}`),
	} {
		if n := testing.AllocsPerRun(200, func() {
			_, _ = p.Write(frame)
			<-heard
		}); n > 0 {
			t.Errorf("reading %s allocates %v times", what, n)
		}
	}
	answer := make([]byte, 2+4)
	if n := testing.AllocsPerRun(200, func() {
		_, _ = p.Write(client4711)
		_, _ = io.ReadFull(p, answer)
	}); n > 0 {
		t.Errorf("answering a ping allocates %v times", n)
	}
}

var client4711 = client(0x89, "4711")

// signalling tells of what it hears, without a copy.
type signalling struct{ heard chan struct{} }

func (h signalling) Message(bool, []byte) { h.heard <- struct{}{} }
func (h signalling) Pong([]byte)          { h.heard <- struct{}{} }
func (signalling) Drained()               {}

func openSignalling(t testing.TB) (net.Conn, *Conn, <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	line, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan struct{}, 1)
	c := newConn(line, nil, false, Options{MaxInbound: -1}.withDefaults())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Serve(signalling{heard})
	}()
	t.Cleanup(func() { _ = nc.Close(); <-ended })
	return nc, c, heard
}

// TestAReaderThatWaitsKeepsASmallStack has many clients say something, and
// measures what their readers keep. What happens on a stack that waits in the
// poller must stay shallow: one call too many doubles it for ever.
func TestAReaderThatWaitsKeepsASmallStack(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes stacks larger")
	}
	const count = 400
	speak := func() {
		for range count {
			nc, _, heard := openSignalling(t)
			for _, frame := range [][]byte{client(0x8a, "4711"), client(0x81, "hello")} {
				if _, err := nc.Write(frame); err != nil {
					t.Fatal(err)
				}
				<-heard
			}
		}
		runtime.GC() // gives back the stacks that are free
	}
	speak() // the runtime begins a stack with what the last collection found on others
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	speak()
	runtime.ReadMemStats(&after)
	if n := (int64(after.StackInuse) - int64(before.StackInuse)) / count; n > 3<<10 {
		t.Errorf("a reader that waits keeps a stack of %d bytes, want 2 KiB", n)
	}
}

// BenchmarkReadPong is what a Pong costs, with both sides of the loopback.
func BenchmarkReadPong(b *testing.B) {
	p, s, heard := openSignalling(b)
	defer s.Abort()
	frame := client(0x8a, "4711")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.Write(frame)
		<-heard
	}
}

func TestWhatAMessageInflatesToCounts(t *testing.T) {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(make([]byte, 64<<10)) // to memory
	_ = z.Flush()
	frame := client(0xc2, strings.TrimSuffix(b.String(), syncTail)) // binary, RSV1
	synctest.Test(t, func(t *testing.T) {
		const rate, seconds = 1 << 20, 20
		var h counting
		nc, line := net.Pipe()
		c := newConn(line, nil, true, Options{MaxInbound: rate}.withDefaults())
		ended := make(chan error, 1)
		go func() { ended <- c.Serve(&h) }()
		go flood(nc, frame)
		time.Sleep(seconds * time.Second)
		perRead := int64(readSize/len(frame) + 1) // inflated before the reader is held
		if n, most := h.messages.Load(), int64(rate*(seconds+1)/(64<<10))+perRead; n > most || n < seconds {
			t.Errorf("heard %d messages in %d s, want at most %d", n, seconds, most)
		}
		_ = nc.Close()
		<-ended
	})
}
