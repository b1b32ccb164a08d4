package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"
	"golang.org/x/term"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/client"
)

func sendCommand(t terminal) *cli.Command {
	return &cli.Command{
		Name: "send", Usage: "Send events from a file, from standard input, or made from flags", ArgsUsage: "[FILE]",
		Description: `FILE holds one event, a JSON array of events, or one event a line; "-" is standard
input. Without FILE the flags below make one event. It is accepted when it is on
the server's disk, and the receipt says so.

   gatecast send --name "山田 太郎" --device SPSP-f26131cf5301be29b3a6f7be150ed330
   gatecast send --kind alarm --code 10002 --device-name "東門ゲート"
   gatecast send events.ndjson`,
		Flags: remoteFlags(
			&cli.StringFlag{Name: "kind", Value: "record", Usage: "record or alarm"},
			&cli.StringFlag{Name: "name", Usage: "who stood before the device"},
			&cli.Int64Flag{Name: "user-id", Usage: "the person's user ID; 0 is a stranger"},
			&cli.StringFlag{Name: "type", Usage: "employee, visitor or stranger; default follows from --name"},
			&cli.StringFlag{Name: "direction", Value: "in", Usage: "in or out"},
			&cli.StringFlag{Name: "device", Usage: "`LDID` of the device"},
			&cli.StringFlag{Name: "device-name", Usage: "name of the device"},
			&cli.StringFlag{Name: "location", Usage: "where the device stands"},
			&cli.IntFlag{Name: "code", Value: 10002, Usage: "code of an alarm; 10002 is a door forced open"},
			&cli.IntFlag{Name: "status", Value: 1, Usage: "state of an alarm: 1 active, 2 being released, 3 released"},
			&cli.StringFlag{Name: "message-id", Usage: "identity of the event: the same one is stored once"},
		),
		Action: func(ctx context.Context, c *cli.Command) error {
			if err := arguments(c, 0, 1); err != nil {
				return err
			}
			body, err := eventsToSend(t, c)
			if err != nil {
				return err
			}
			a, err := remote(c)
			if err != nil {
				return err
			}
			return sendEvents(ctx, t, c, a, body)
		},
	}
}

// eventsToSend is the body of the request: what FILE or standard input holds,
// or one event made from flags.
func eventsToSend(t terminal, c *cli.Command) ([]byte, error) {
	made := madeByFlags(c)
	file := c.Args().First()
	switch {
	case file != "" && made != "":
		return nil, usage(c, "--%s makes an event, but there is also the file %q", made, file)
	case file == "" && made != "":
		return makeEvent(c)
	case file == "" && isTerminal(t.in):
		return nil, usage(c, "nothing to send: give a file, events on standard input, or flags such as --name")
	case file == "" || file == "-":
		body, err := io.ReadAll(t.in)
		if err == nil && len(bytes.TrimSpace(body)) == 0 {
			return nil, usage(c, "nothing to send: standard input is empty")
		}
		return body, err
	}
	body, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, gatecast.Errorf(gatecast.NotFound, "there is no file %q", file)
	}
	if errors.Is(err, syscall.EISDIR) {
		return nil, usage(c, "%q is a directory; it needs a file", file)
	}
	return body, err
}

// madeByFlags names a flag that makes an event, if one is given.
func madeByFlags(c *cli.Command) string {
	for _, name := range []string{
		"kind", "name", "user-id", "type", "direction", "device", "device-name", "location", "code", "status", "message-id",
	} {
		if c.IsSet(name) {
			return name
		}
	}
	return ""
}

// isTerminal reports whether a person sits at the other end of v.
func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newEvent is an event on its way in.
type newEvent struct {
	Kind      gatecast.Kind `json:"eventType"`
	MessageID string        `json:"messageId,omitempty"`
	Data      any           `json:"data"`
}

func makeEvent(c *cli.Command) ([]byte, error) {
	kind, ok := kindNamed(c.String("kind"))
	if !ok {
		return nil, usage(c, "--kind %q is neither record nor alarm", c.String("kind"))
	}
	e := newEvent{Kind: kind, MessageID: c.String("message-id")}
	now := time.Now()
	if kind == gatecast.Alarm {
		e.Data = client.Alarm{
			Level: 1, Code: c.Int("code"), Status: c.Int("status"),
			Description: alarmName(c.Int("code")),
			DeviceName:  c.String("device-name"), DeviceSN: c.String("device"), DeviceLocation: c.String("location"),
			TraceID:   fmt.Sprintf("cli-%d-%d", c.Int("code"), now.Unix()),
			AlarmTime: now.UTC().Format(time.DateTime),
		}
		return json.Marshal(e)
	}
	typ, err := personType(c)
	if err != nil {
		return nil, err
	}
	direction, ok := map[string]int{"in": 0, "out": 1}[c.String("direction")]
	if !ok {
		return nil, usage(c, "--direction %q is neither in nor out", c.String("direction"))
	}
	e.Data = client.Record{
		UserID: c.Int64("user-id"), Name: c.String("name"), Type: typ, Direction: direction, Groups: []client.Group{},
		DeviceName: c.String("device-name"), SN: c.String("device"), Location: c.String("location"),
		SignDate: now.Format(time.DateOnly), SignTime: now.Unix(), SignTimeZone: now.Format("-07:00"), EntryMode: 1,
	}
	return json.Marshal(e)
}

// personType reads --type; without it somebody with a name is an employee.
func personType(c *cli.Command) (int, error) {
	switch name := c.String("type"); {
	case name == "employee", name == "" && c.String("name") != "":
		return 1, nil
	case name == "visitor":
		return 2, nil
	case name == "stranger", name == "":
		return 3, nil
	}
	return 0, usage(c, "--type %q is none of employee, visitor and stranger", c.String("type"))
}

func sendEvents(ctx context.Context, t terminal, c *cli.Command, a *api, body []byte) error {
	var r gatecast.Receipt // its names are the answer's but for the case
	answer, err := a.send(ctx, http.MethodPost, "/api/v1/events", contentType(body), body, &r)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(t.out, answer)
	}
	text := fmt.Sprintf("accepted %d", r.Accepted)
	if r.Accepted == 1 {
		text += fmt.Sprintf(" (seq %d)", r.Last)
	} else if r.Accepted > 1 {
		text += fmt.Sprintf(" (seq %d to %d)", r.First, r.Last)
	}
	if r.Duplicates > 0 {
		text += fmt.Sprintf(", already there %d", r.Duplicates)
	}
	_, err = fmt.Fprintln(t.out, text)
	return err
}

// contentType tells one JSON value from several behind each other.
func contentType(body []byte) string {
	dec := json.NewDecoder(bytes.NewReader(body))
	var first json.RawMessage
	if dec.Decode(&first) == nil && dec.More() {
		return client.NDJSON
	}
	return client.JSON
}
