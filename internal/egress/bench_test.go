package egress

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"testing"
	"time"
)

// fastServer answers each request of a connection without parsing it: what is
// measured is the client. Requests have no newline but in their head.
func fastServer(b *testing.B) *rawServer {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	return serve(b, "127.0.0.1:0", func(c *net.TCPConn, _ <-chan struct{}) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 { // the end of a head
				if _, err := r.Discard(benchBody); err != nil {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}
	})
}

const benchBody = 600

func BenchmarkPost(b *testing.B) {
	s := fastServer(b)
	c := newClient(b, Options{Allow: loopback()})
	r := Request{
		URL: s.url(), Body: bytes.Repeat([]byte("x"), benchBody), Timeout: 5 * time.Second,
		Header: http.Header{
			"Content-Type": {"application/json"}, "Webhook-Id": {"msg_0123456789abcdef"},
			"Webhook-Timestamp": {"1674087231"}, "Webhook-Signature": {"v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="},
		},
	}
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := c.Post(b.Context(), r); a.Status != 200 {
				b.Error(a.Err)
				return
			}
		}
	})
	b.ReportMetric(float64(s.accepted.Load()), "conns")
}

// BenchmarkTransport is what net/http itself costs, to hold Post against.
func BenchmarkTransport(b *testing.B) {
	s := fastServer(b)
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer tr.CloseIdleConnections()
	body := bytes.Repeat([]byte("x"), benchBody)
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, _ := http.NewRequest(http.MethodPost, s.url(), bytes.NewReader(body))
			resp, err := tr.RoundTrip(req)
			if err != nil {
				b.Error(err)
				return
			}
			resp.Body.Close()
		}
	})
}
