package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
)

// connectionBody is a connection as the API shows it.
type connectionBody struct {
	App          string       `json:"app_key" doc:"Empty for a connection that a token opened"`
	AppName      string       `json:"app_name" doc:"Empty if there is no such app, or no longer"`
	Client       string       `json:"client" doc:"The name that the client gave itself; may be empty"`
	Remote       string       `json:"remote" doc:"IP address and port"`
	Transport    string       `json:"transport" doc:"websocket, sse"`
	Connected    time.Time    `json:"connected"`
	Mode         string       `json:"mode" doc:"live, catching up, stalled"`
	Confirmation string       `json:"confirmation" doc:"How it confirms: pong, ack, pending (too early to tell), none"`
	Start        gatecast.Seq `json:"start" doc:"It began after this position"`
	Position     gatecast.Seq `json:"position" doc:"Newest event sent, or passed over by its filter"`
	Confirmed    gatecast.Seq `json:"confirmed" doc:"Up to here it has confirmed; 0 if nothing yet"`
	LagEvents    uint64       `json:"lag_events" doc:"Positions behind the newest event"`
	LagSeconds   float64      `json:"lag_seconds" doc:"Age of the oldest event it has not been sent; 0 if there is none"`
	Events       uint64       `json:"events" doc:"Sent on this connection"`
	Bytes        uint64       `json:"bytes" doc:"Written to the socket"`
}

func showConnection(c gatecast.Connection, appName string) connectionBody {
	return connectionBody{
		App: c.App, AppName: appName, Client: c.Client, Remote: c.Remote, Transport: c.Transport,
		Connected: c.Connected.UTC().Truncate(time.Millisecond), Mode: string(c.Mode), Confirmation: string(c.Confirmation),
		Start: c.Start, Position: c.Position, Confirmed: c.Confirmed,
		LagEvents: c.LagEvents, LagSeconds: c.Lag.Round(time.Millisecond).Seconds(),
		Events: c.Events, Bytes: c.Bytes,
	}
}

type listConnectionsInput struct {
	App   string `query:"app_key" doc:"Only connections of this app"`
	Limit int    `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"List at most so many; the sums are of all"`
}

type listConnectionsOutput struct {
	Body struct {
		Total       int              `json:"total" doc:"How many there are, listed or not"`
		Live        int              `json:"live" doc:"Of these, sent everything"`
		CatchingUp  int              `json:"catching_up" doc:"Of these, being sent what came before"`
		Stalled     int              `json:"stalled" doc:"Of these, taking no bytes"`
		Unconfirmed int              `json:"unconfirmed" doc:"Of these, never confirming what they receive"`
		Connections []connectionBody `json:"connections" nullable:"false" doc:"By name of the app, then by when they connected"`
	}
}

func (s *server) listConnections(_ context.Context, in *listConnectionsInput) (*listConnectionsOutput, error) {
	list := s.opts.Connections.List()
	if in.App != "" {
		if _, err := s.find(in.App); err != nil { // a mistyped key is not an app without connections
			return nil, err
		}
		list = slices.DeleteFunc(list, func(c gatecast.Connection) bool { return c.App != in.App })
	}
	out := &listConnectionsOutput{}
	b := &out.Body
	b.Total = len(list)
	shown := make([]connectionBody, 0, len(list))
	names := s.appNames()
	for _, c := range list {
		shown = append(shown, showConnection(c, names[c.App]))
		switch c.Mode {
		case gatecast.ModeLive:
			b.Live++
		case gatecast.ModeCatchingUp:
			b.CatchingUp++
		case gatecast.ModeStalled:
			b.Stalled++
		}
		if c.Confirmation == gatecast.ConfirmNone {
			b.Unconfirmed++
		}
	}
	slices.SortFunc(shown, func(x, y connectionBody) int {
		return cmp.Or(cmp.Compare(x.AppName, y.AppName), x.Connected.Compare(y.Connected), cmp.Compare(x.Remote, y.Remote))
	})
	b.Connections = shown[:min(len(shown), in.Limit)]
	return out, nil
}

func (s *server) appNames() map[string]string {
	names := map[string]string{}
	for _, a := range s.opts.Apps.Apps() {
		names[a.Key] = a.Name
	}
	return names
}
