package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gatecast/gatecast"
)

// attemptView is one request to a subscription's URL and what came of it.
type attemptView struct {
	Time    time.Time `json:"time"`
	Seq     uint64    `json:"seq"`
	Events  int       `json:"events"`
	Try     int       `json:"try"`
	Status  int       `json:"status"`
	Took    float64   `json:"took_ms"`
	Outcome string    `json:"outcome"`
	Error   string    `json:"error"`
	Answer  string    `json:"answer"`
}

// exchangeView is an attempt with everything that crossed the wire.
type exchangeView struct {
	attemptView
	URL           string            `json:"url"`
	Headers       map[string]string `json:"headers"`
	Body          string            `json:"body"`
	AnswerHeaders map[string]string `json:"answer_headers"`
}

// deliveryTime is how long a server may take that waits for a subscriber's
// endpoint itself.
const deliveryTime = 2 * time.Minute

// remoteDelivery is remote for requests that end when an endpoint has answered.
func remoteDelivery(c *cli.Command) (*api, error) {
	a, err := remote(c)
	if err != nil {
		return nil, err
	}
	a.http.Timeout = deliveryTime
	return a, nil
}

func subTry(t terminal) *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "Send a test event and show request and answer", ArgsUsage: "ID",
		Description: "Exits with 1 if the event was not delivered. Nothing is tried again, and no position moves.",
		Flags:       remoteFlags(),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 1, 1); err != nil {
				return err
			}
			a, err := remoteDelivery(c)
			if err != nil {
				return err
			}
			var x exchangeView
			body, err := a.call(ctx, http.MethodPost, subPath(c.Args().First(), "test"), nil, &x)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = printJSON(t.out, body)
			} else {
				err = x.print(t.out)
			}
			return cmp.Or(err, x.failure())
		},
	}
}

// failure is the error of an attempt that was not delivered.
func (v *attemptView) failure() error {
	if v.Outcome == string(gatecast.Delivered) {
		return nil
	}
	e := gatecast.Errorf(gatecast.Invalid, "not delivered: %s", clean(cmp.Or(v.Error, v.Outcome)))
	e.Remedy = "once the endpoint is right, try again"
	return e
}

// print shows request and answer as they went, in the manner of curl -v.
func (x *exchangeView) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "> POST %s\n", clean(x.URL))
	writeHeaders(&b, "> ", x.Headers)
	b.WriteString(">\n")
	writeText(&b, x.Body)
	if x.Status == 0 {
		fmt.Fprintf(&b, "* no answer after %s\n", tookText(x.Took))
	} else {
		fmt.Fprintf(&b, "< %s\n", strings.TrimSpace(fmt.Sprintf("%d %s", x.Status, http.StatusText(x.Status))))
		writeHeaders(&b, "< ", x.AnswerHeaders)
		b.WriteString("<\n")
		writeText(&b, x.Answer)
		fmt.Fprintf(&b, "* answered in %s\n", tookText(x.Took))
	}
	if x.Outcome == string(gatecast.Delivered) {
		b.WriteString("* delivered\n")
	} else {
		fmt.Fprintf(&b, "* %s: %s\n", clean(x.Outcome), clean(x.Error))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeHeaders(b *strings.Builder, mark string, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(b, "%s%s: %s\n", mark, clean(name), clean(headers[name]))
	}
}

// writeText writes lines of somebody else, if there are any.
func writeText(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		b.WriteString(clean(strings.TrimRight(line, "\r\n")) + "\n")
	}
}
