package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/webhook"
)

// The secret of a subscription, as "gatecast" shows it when one is made.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// request is what gatecast posts for an event.
func request(url string, e *gatecast.Event) *http.Request {
	signer, err := webhook.NewSigner([]string{secret}, nil)
	if err != nil {
		panic(err)
	}
	body := webhook.AppendBody(nil, e, webhook.Form{})
	req := httptest.NewRequest(http.MethodPost, url, strings.NewReader(string(body)))
	req.RequestURI = "" // as a client's request
	id, now := webhook.ID(e.ID), time.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(webhook.HeaderID, id)
	req.Header.Set(webhook.HeaderTimestamp, webhook.Timestamp(now))
	req.Header.Set(webhook.HeaderSignature, signer.Sign(id, now, body))
	return req
}

// post sends an event and prints the answer.
func post(url string, e *gatecast.Event) {
	res, err := http.DefaultClient.Do(request(url, e))
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println(strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", string(answer))))
}

// Receive events. A message may come more than once, so what has been handled
// is remembered; a real program does so where it keeps its data, and for some
// days.
func ExampleHandler() {
	verifier, err := webhook.NewVerifier(secret)
	if err != nil {
		panic(err)
	}
	var handled sync.Map
	receive := func(_ context.Context, m webhook.Message) error {
		if _, again := handled.Load(m.MessageID); again {
			return nil
		}
		switch m.EventType {
		case int(gatecast.Record):
			fmt.Printf("%s at %s: %s\n", m.MessageID, m.SendTime.Format(time.DateTime), m.Data)
		case int(gatecast.Alarm):
			return errors.New("the alarm panel does not answer") // is sent again
		default:
			return webhook.Refuse(fmt.Errorf("no use for %d", m.EventType)) // is set aside
		}
		handled.Store(m.MessageID, true)
		return nil
	}
	server := httptest.NewServer(webhook.Handler(verifier, receive, webhook.HandlerOptions{}))
	defer server.Close()

	e := &gatecast.Event{ID: "record:SPSP-1:41", Kind: gatecast.Record, At: time.Unix(1583726626, 0), Data: []byte(`{"id":41}`)}
	post(server.URL, e)
	post(server.URL, e) // the first answer got lost
	post(server.URL, &gatecast.Event{ID: "alarm:SPSE-1:7:1", Kind: gatecast.Alarm})
	post(server.URL, &gatecast.Event{ID: "n1", Kind: gatecast.Notice})
	// Output:
	// record:SPSP-1:41 at 2020-03-09 04:03:46: {"id":41}
	// 200
	// 200
	// 500 the message could not be handled
	// 422 no use for 50000
}

// Check requests in a handler of one's own. The body is checked as it came,
// before anything parses it.
func ExampleVerifier_Verify() {
	verifier, err := webhook.NewVerifier(secret)
	if err != nil {
		panic(err)
	}
	req := request("http://receiver.example/hook", &gatecast.Event{ID: "record:SPSP-1:41", Kind: gatecast.Record, Data: []byte(`{"id":41}`)})
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(err)
	}
	fmt.Println(verifier.Verify(req.Header, body))

	forged := strings.Replace(string(body), "41", "42", 1)
	err = verifier.Verify(req.Header, []byte(forged))
	fmt.Println(errors.Is(err, webhook.ErrSignature))

	messages, err := webhook.Parse(body)
	if err != nil {
		panic(err)
	}
	for _, m := range messages {
		fmt.Println(m.EventType, m.MessageID, string(m.Data))
	}
	// Output:
	// <nil>
	// true
	// 30000 record:SPSP-1:41 {"id":41}
}

// With ed25519 a receiver holds nothing that a request could be forged with.
func ExampleNewVerifier_publicKey() {
	private, public := webhook.NewKey()
	signer, err := webhook.NewSigner([]string{secret}, []string{private}) // v1 and v1a
	if err != nil {
		panic(err)
	}
	verifier, err := webhook.NewVerifier(public)
	if err != nil {
		panic(err)
	}
	now, body := time.Now(), []byte(`{"eventType":30000,"messageId":"m1","sendTime":0,"data":{}}`)
	h := http.Header{}
	h.Set(webhook.HeaderID, webhook.ID("m1"))
	h.Set(webhook.HeaderTimestamp, webhook.Timestamp(now))
	h.Set(webhook.HeaderSignature, signer.Sign("m1", now, body))
	fmt.Println(verifier.Verify(h, body))
	// Output: <nil>
}

// A body depends on the event and the form only.
func ExampleAppendBody() {
	e := &gatecast.Event{
		Seq: 41, ID: "record:SPSP-1:41", Kind: gatecast.Record,
		At: time.Unix(1583726626, 0), Data: []byte(`{"id":41,"name":"山田 太郎"}`),
	}
	fmt.Println(string(webhook.AppendBody(nil, e, webhook.Form{})))
	fmt.Println(string(webhook.AppendBody(nil, e, webhook.Form{EventTypeString: true, OwnFields: true, Epoch: "E1"})))
	// Output:
	// {"eventType":30000,"messageId":"record:SPSP-1:41","sendTime":1583726626000,"data":{"id":41,"name":"山田 太郎"}}
	// {"eventType":"30000","messageId":"record:SPSP-1:41","sendTime":1583726626000,"seq":41,"epoch":"E1","data":{"id":41,"name":"山田 太郎"}}
}
