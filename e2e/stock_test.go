package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// stock is a client library that nobody here wrote, behind a script of a few
// lines that prints "open EXTENSIONS", "text MESSAGE" and "close CODE".
type stock struct {
	name    string
	program string
	args    []string // before the URL
	probe   []string // arguments with which program ends with 0 if the library is there
	deflate bool     // the library offers permessage-deflate
	stays   bool     // the script follows one URL after the other, for each line on its standard input, if it is given "-"
	leaves  bool     // the script closes the connection when it gets SIGTERM
	closed  string   // what it makes of close code 1012
}

func stocks() []stock {
	const python = "/usr/bin/python3" // Debian's own, for which the libraries are packaged
	return []stock{
		{
			name: "python websocket-client", program: python, args: []string{"stock/python/websocket_client.py"},
			probe: []string{"-c", "import websocket"}, leaves: true, closed: "None", // Debian's version takes 1012 for an invalid code
		},
		{
			name: "python websockets", program: python, args: []string{"stock/python/websockets_client.py"},
			probe: []string{"-c", "import websockets"}, deflate: true, leaves: true, closed: "1012",
		},
		{
			name: "npm ws", program: "node", args: []string{"stock/node/ws.js"},
			probe: []string{"--input-type=module", "-e", "await import('./stock/node/node_modules/ws/index.js')"}, deflate: true, leaves: true, closed: "1012",
		},
		{
			name: "chromium", program: "node", args: []string{"stock/node/chromium.js"},
			probe: []string{"stock/node/chromium.js", "--probe"}, deflate: true, stays: true, closed: "1012",
		},
		{
			name: "jdk", program: "java", args: java("Client"),
			probe: []string{"--version"}, leaves: true, closed: "1012",
		},
	}
}

// java returns the arguments that start a class of stock/java, from its source
// if it was not compiled.
func java(class string) []string {
	if classes == "" {
		return []string{"stock/java/" + class + ".java"}
	}
	return []string{"-cp", classes, class}
}

// run starts the client and returns the lines it prints. The channel ends
// with the client.
func (c stock) run(t *testing.T, url string) <-chan string {
	t.Helper()
	if err := c.usable(); err != nil {
		missing(t, "%v", err)
	}
	return c.launch(t, url).lines
}

// firstLine shortens a program's complaint.
func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// next returns the next line that is not a heartbeat.
func next(ctx context.Context, t *testing.T, lines <-chan string) string {
	t.Helper()
	for {
		select {
		case line, more := <-lines:
			if !more {
				t.Fatal("the client ended too early")
			}
			if line != "text "+heartbeat {
				return line
			}
		case <-ctx.Done():
			t.Fatal("nothing more from the client")
		}
	}
}

// expect compares the next line.
func expect(ctx context.Context, t *testing.T, lines <-chan string, want string) {
	t.Helper()
	if got := next(ctx, t, lines); got != want {
		t.Fatalf("the client printed\n%s\nwant\n%s", got, want)
	}
}

// opened checks the first line and the extensions in it.
func (c stock) opened(ctx context.Context, t *testing.T, lines <-chan string) {
	t.Helper()
	got := next(ctx, t, lines)
	if !strings.HasPrefix(got, "open") || strings.Contains(got, "permessage-deflate") != c.deflate {
		t.Fatalf("the client printed %q, want an open connection with permessage-deflate: %v", got, c.deflate)
	}
}

// TestStockClientsMissNothing lets each stock client follow a server of its
// own, from the first message to the close frame, and compares every byte.
func TestStockClientsMissNothing(t *testing.T) {
	for _, c := range stocks() {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, t.TempDir(), "--server.drain_spread=100ms")
			lines := c.run(t, s.signedURL(s.createApp(t)))
			ctx := within(t)
			c.opened(ctx, t, lines)
			expect(ctx, t, lines, "text "+connected)
			for _, b := range demo() {
				contentType, body := b.encode()
				if r, err := s.post(ctx, contentType, body); err != nil || r.Accepted != len(b.events) {
					t.Fatalf("post %d events: %+v, %v", len(b.events), r, err)
				}
			}
			for _, b := range demo() {
				for _, e := range b.events {
					expect(ctx, t, lines, "text "+e.push())
				}
			}
			s.stop(t)
			expect(ctx, t, lines, "close "+c.closed)
		})
	}
}

// demo is 50 events one by one, then 1000 in quick bursts. Most of the bursts
// are posted before the test reads on, so each client also falls behind.
func demo() []batch {
	var all []batch
	for n := range int64(50) {
		all = append(all, batch{events: []sent{sample(n)}})
	}
	for burst := range int64(10) {
		b := batch{lines: burst%2 == 1}
		for n := range int64(100) {
			b.events = append(b.events, sample(50+burst*100+n))
		}
		all = append(all, b)
	}
	return all
}

// TestStockClientsAreToldOfAWrongSignature expects the vendor's way to refuse:
// the upgrade succeeds, 20002 is said, the connection is closed.
func TestStockClientsAreToldOfAWrongSignature(t *testing.T) {
	s := start(t, t.TempDir())
	consumer := s.createApp(t)
	consumer.Secret += "x"
	for _, c := range stocks() {
		t.Run(c.name, func(t *testing.T) {
			lines := c.run(t, s.signedURL(consumer))
			ctx := within(t)
			c.opened(ctx, t, lines)
			refusal := next(ctx, t, lines)
			var m struct {
				Code          int
				Message, Desc string
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(refusal, "text ")), &m); err != nil {
				t.Fatalf("the client printed %q: %v", refusal, err)
			}
			if m.Code != 20002 || m.Message != "Permission Denied!" || m.Desc == "" {
				t.Errorf("refused with %s", refusal)
			}
			if end := next(ctx, t, lines); !strings.HasPrefix(end, "close ") {
				t.Errorf("after the refusal came %q, want the close", end)
			}
		})
	}
}
