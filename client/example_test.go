package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/gobwas/ws"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
)

// door stands in for a gatecast server: it pushes what it is given to whoever
// connects, and counts what is posted.
func door(pushes ...string) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /websocket/record/{key}/{timestamp}/{sign}", func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		for _, body := range pushes {
			_ = ws.WriteFrame(conn, ws.NewTextFrame([]byte(body)))
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	mux.HandleFunc("POST /api/v1/events", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"accepted":1,"duplicates":0,"first":1,"last":1}`)
	})
	return httptest.NewServer(mux)
}

// Receive events for as long as the program runs. Reconnecting, heartbeats and
// acknowledgements take care of themselves.
func ExampleClient_Events() {
	server := door(
		`{"code":20000,"message":"Connected!","desc":"Connected!"}`,
		`{"code":30000,"desc":"","message":"push record","data":{"id":41,"name":"山田 太郎","sn":"SPSP-1","signTime":1569725174}}`,
	)
	defer server.Close()
	c, err := client.New(client.Options{
		URL:       server.URL,
		AppKey:    "0123456789abcdef",
		AppSecret: "e30af86f8f4e75d128ba4288597dea3c",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for e, err := range c.Events(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Kind, e.ID, e.At.UTC().Format(time.DateTime))
		break // a real program goes on
	}
	// Output: record record:SPSP-1:41 2019-09-29 02:46:14
}

// Miss nothing, also of the time when this program does not run: each event is
// acknowledged when it has been handled, and the cursor is kept in a file.
func ExampleClient_Subscribe() {
	server := door(
		`{"code":20000,"message":"Connected!","desc":"Connected!"}`,
		`{"code":20011,"message":"gap","desc":"","data":{"from":0,"to":40,"reason":"retention","head":41,"epoch":"mSx2"}}`,
		`{"code":30000,"desc":"","message":"push record","seq":41,"epoch":"mSx2","replay":true,"data":{"id":9,"name":"山田 太郎","sn":"SPSP-1","signTime":1569725174}}`,
	)
	defer server.Close()
	c, err := client.New(client.Options{
		URL:       server.URL,
		AppKey:    "0123456789abcdef",
		AppSecret: "e30af86f8f4e75d128ba4288597dea3c",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for d, err := range c.Subscribe(context.Background(), client.Subscription{
		Cursor: client.FileCursor(filepath.Join(dir, "cursor")),
		Since:  client.Earliest(),
	}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if d.Gap != nil {
			fmt.Println("lost:", d.Gap.From, "to", d.Gap.To, d.Gap.Reason)
			d.Ack()
			continue
		}
		fmt.Println(d.Seq, d.ID, d.Replay)
		d.Ack()
		break // a real program goes on
	}
	// Output:
	// lost: 0 to 40 retention
	// 41 record:SPSP-1:9 true
}

// A refusal says what to do about it.
func ExampleClient_Events_refused() {
	server := door(`{"code":20002,"message":"Permission Denied!","desc":"app key not exist"}`)
	defer server.Close()
	c, err := client.New(client.Options{URL: server.URL, AppKey: "ffffffffffffffff", AppSecret: "wrong"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, err := range c.Events(context.Background()) {
		var e *gatecast.Error
		if errors.As(err, &e) {
			fmt.Println(e.Code)
			fmt.Println(e.Message)
			fmt.Println(e.Remedy)
		}
	}
	// Output:
	// unauthenticated
	// the server refused the app: app key not exist
	// check the app key, and that this is the server it was made on
}

// Hand in an event. When Publish returns, it is on the server's disk.
func ExampleClient_Publish() {
	server := door()
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	c, err := client.New(client.Options{URL: server.URL, Token: "gct_…"})
	if err != nil {
		fmt.Println(err)
		return
	}
	mask := 2
	receipt, err := c.Publish(context.Background(), client.Record{
		ID: 41, Name: "山田 太郎", Type: 1, SN: "SPSP-1", SignTime: 1569725174, EntryMode: 1, Mask: &mask,
	})
	fmt.Println(receipt.Accepted, receipt.Last, err)
	// Output: 1 1 <nil>
}

func ExampleSignedURL() {
	u, err := client.SignedURL("https://gate.example", "0123456789abcdef", "e30af86f8f4e75d128ba4288597dea3c", time.UnixMilli(1763350834090))
	fmt.Println(u, err)
	// Output: wss://gate.example/websocket/record/0123456789abcdef/1763350834090/4ed75ef570a2f8326587677f16b3aa37 <nil>
}
