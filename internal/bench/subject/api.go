package subject

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/problem"
)

// api is the server's administrative interface.
type api struct {
	base, token string
	http        *http.Client
}

func newAPI(base, token string, secure *tls.Config) api {
	return api{base, token, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: secure, MaxIdleConnsPerHost: atOnce}}}
}

// call sends in as JSON, if not nil, and reads the answer into out, if not nil.
func (a api) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("write request: %w", err)
		}
	}
	answer, err := a.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}

// innermost is "connection refused" without the layers.
func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

func (a api) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	res, err := a.http.Do(req)
	if err != nil {
		e := gatecast.Errorf(gatecast.Unavailable, "cannot reach %s: %v", a.base, innermost(err))
		e.Remedy, e.Cause = "is the server running? give its address with --server", err
		return nil, e
	}
	defer func() { _ = res.Body.Close() }() // only read from: nothing is lost
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", path, err)
	}
	if res.StatusCode > 299 {
		e, _ := problem.Read(res, answer)
		return nil, e
	}
	return answer, nil
}
