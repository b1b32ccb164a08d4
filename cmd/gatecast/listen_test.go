package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// resuming is a server that pushes a gap and two numbered events to whoever
// connects, and notes what was asked for.
func resuming(t *testing.T, asked *[]string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.RawQuery)
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer conn.Close()
		gap := gatecast.GapNotice{From: 3, To: 7, Reason: gatecast.GapRetention}
		messages := []string{senselink.Connected, string(senselink.Gap(gap, 9, "E"))}
		for _, m := range append(messages, push(8, "Ada"), push(9, "Bob")) {
			if ws.WriteFrame(conn, ws.NewTextFrame([]byte(m))) != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func push(seq gatecast.Seq, name string) string {
	e := gatecast.Event{Seq: seq, Kind: gatecast.Record, Data: []byte(`{"id": 1,"name":"` + name + `","sn":"S"}`)}
	return string(senselink.AppendNumbered(nil, &e, "E", true))
}

func TestListenTellsOfAGapAndGoesOnWhereItsFileSays(t *testing.T) {
	var asked []string
	url := resuming(t, &asked)
	file := filepath.Join(t.TempDir(), "cursor")
	listenOnce := func() (out, errs string) {
		var o, e bytes.Buffer
		args := []string{
			"gatecast", "listen", "--server", url, "--app", "0123456789abcdef", "--secret", "s", "--json", "--count", "1",
			"--since", "3", "--cursor", file, "--device", "S", "--kind", "record",
		}
		if err := commands(terminal{in: strings.NewReader(""), out: &o, err: &e}).Run(context.Background(), args); err != nil {
			t.Fatal(err)
		}
		return o.String(), e.String()
	}
	out, errs := listenOnce()
	want := `{"code":30000,"desc":"","message":"push record","seq":8,"epoch":"E","replay":true,"data":{"id":1,"name":"Ada","sn":"S"}}` + "\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(errs, "gap: what came after 3 up to 7 is no longer in the journal\n") {
		t.Errorf("standard error: %s", errs)
	}
	listenOnce()
	if diff := cmp.Diff([]string{"kinds=30000&seq=1&since=3&sn=S", "epoch=E&kinds=30000&seq=1&since=8&sn=S"}, asked); diff != "" {
		t.Error(diff)
	}
}

// onWrite is a terminal on which something happens when a line is printed.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func TestListenFailsIfItsFileCannotBeWritten(t *testing.T) {
	var asked []string
	url := resuming(t, &asked)
	dir := filepath.Join(t.TempDir(), "here")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"gatecast", "listen", "--server", url, "--app", "0123456789abcdef", "--secret", "s", "--count", "1",
		"--since", "3", "--cursor", filepath.Join(dir, "cursor"),
	}
	gone := onWrite(func() { // between the event and its acknowledgement
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	err := commands(terminal{in: strings.NewReader(""), out: gone, err: io.Discard}).Run(context.Background(), args)
	if err == nil || !strings.Contains(err.Error(), "save the cursor") {
		t.Errorf("ended with %v", err)
	}
}
