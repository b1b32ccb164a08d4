package floor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// Posts is requests that are made one after the other by some clients.
type Posts struct {
	URL    string
	Count  int // requests
	AtOnce int // clients
}

// PostLoop is the plainest webhook sender there can be: clients of net/http that
// post the same body again and again over kept connections, and look for nothing
// but status 200. The body is what in holds. A line on out is
// "done NANOSECONDS CPU_NANOSECONDS", the latter of this process, from the first
// request to the last answer.
func PostLoop(ctx context.Context, p Posts, in io.Reader, out io.Writer) error {
	body, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	s, err := p.run(ctx, body)
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(out, "done %d %d\n", s.Wall.Nanoseconds(), s.CPU.Nanoseconds()); err != nil {
		return fmt.Errorf("tell what the requests took: %w", err)
	}
	return nil
}

func (p Posts) run(ctx context.Context, body []byte) (Spent, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	before, err := Used()
	if err != nil {
		return Spent{}, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: p.AtOnce, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	start := time.Now()
	var posted atomic.Int64
	var clients sync.WaitGroup
	for range p.AtOnce {
		clients.Go(func() {
			for posted.Add(1) <= int64(p.Count) && ctx.Err() == nil {
				if err := postOnce(ctx, client, p.URL, body); err != nil {
					cancel(err)
				}
			}
		})
	}
	clients.Wait()
	wall := time.Since(start)
	if err := context.Cause(ctx); err != nil {
		return Spent{}, err
	}
	after, err := Used()
	return Spent{Wall: wall, CPU: after - before}, err
}

func postOnce(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	// What a webhook has; nobody looks at it.
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {"bare"}, "Webhook-Timestamp": {"1795500000"},
		"Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("post: %w", err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close() // it has been read
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("post: the answer is %s", res.Status)
	}
	return nil
}

// Post runs a program that runs [PostLoop] on its standard input and output, and
// returns what the requests took.
func Post(cmd *exec.Cmd, body []byte) (Spent, error) {
	cmd.Stdin = bytes.NewReader(body)
	out, err := cmd.Output()
	if err != nil {
		return Spent{}, fmt.Errorf("the bare requests: %w", err)
	}
	var wall, cpu int64
	if _, err := fmt.Sscanf(string(out), "done %d %d", &wall, &cpu); err != nil {
		return Spent{}, fmt.Errorf("the bare requests answered %.80q: %w", out, err)
	}
	return Spent{Wall: time.Duration(wall), CPU: time.Duration(cpu)}, nil
}
