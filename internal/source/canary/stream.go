package canary

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

// Stream is the server's event stream as a far end, over a connection like any
// client's.
type Stream struct {
	URL   string // of the server: scheme, host and port
	Token string // may read
	HTTP  *http.Client
}

// maxLine bounds a line of the stream. A canary's has some hundred bytes.
const maxLine = 64 << 10

// Open is part of [Door].
func (s Stream) Open(ctx context.Context, device string) (Watcher, error) {
	query := url.Values{"kinds": {gatecast.Canary.String()}, "sn": {device}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/events/stream?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	res, err := s.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode == http.StatusOK {
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, maxLine)
		return &stream{body: res.Body, lines: lines}, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxLine))
	if err != nil {
		return nil, fmt.Errorf("read the answer %s: %w", res.Status, err)
	}
	e, _ := problem.Read(res, body)
	return nil, e
}

type stream struct {
	body  io.ReadCloser
	lines *bufio.Scanner
}

func (s *stream) Close() { _ = s.body.Close() }

// Wait is part of [Watcher]. An id without an event behind it only says how far
// the stream has got.
func (s *stream) Wait(_ context.Context, seq gatecast.Seq) error {
	id, event := "id: "+strconv.FormatUint(uint64(seq), 10), "event: "+gatecast.Canary.String()
	there := false
	for s.lines.Scan() {
		switch line := s.lines.Text(); {
		case line == "":
			there = false
		case line == id:
			there = true
		case there && line == event:
			return nil
		}
	}
	if err := s.lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
