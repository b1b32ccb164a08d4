package push

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	durable "github.com/gatecast/gatecast/internal/journal"
	"github.com/gatecast/gatecast/internal/standin"
)

// BenchmarkReceive posts as the vendor's server does, one event after the
// other, each when the one before has been answered, into a journal on disk with
// fsync. An operation is one event.
func BenchmarkReceive(b *testing.B) {
	j, err := durable.Open(b.Context(), durable.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close(context.Background()) }()
	o := &office{}
	mux := http.NewServeMux()
	mux.Handle("POST /ingest/senselink/{token}", NewReceiver(New(j, Options{}), o, o, ReceiverOptions{}))
	server := httptest.NewServer(mux)
	defer server.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		data := strings.TrimPrefix(string(standin.SampleRecord(i, time.Now())), `{"id":0`)
		body := fmt.Appendf(nil, `{"messageId":"m-%d","eventType":30000,"sendTime":1583726626015,"data":{"id":%d%s}`, i, i+1, data)
		answer, err := http.Post(server.URL+"/ingest/senselink/secret", "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			b.Fatalf("answered %d", answer.StatusCode)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
