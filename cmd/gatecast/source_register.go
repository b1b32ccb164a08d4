package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatecast/gatecast"
)

// What can be told from here where to post.
const (
	aGatecast = "gatecast"
	aStandin  = "stand-in"
)

// register sets the URL at the server that is to post, and returns what that is.
func (s *subscriber) register(ctx context.Context, src sourceView) (string, error) {
	text := strings.TrimRight(s.c.String("upstream-url"), "/")
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", usage(s.c, "--upstream-url %q is not a URL such as http://gate.example:9000", s.c.String("upstream-url"))
	}
	if s.c.IsSet("upstream-token") {
		return aGatecast, s.registerAtGatecast(ctx, text, cmp.Or(s.c.String("upstream-app"), src.AppKey))
	}
	return aStandin, s.registerAtStandin(ctx, text)
}

func (s *subscriber) registerAtGatecast(ctx context.Context, base, app string) error {
	if app == "" {
		return usage(s.c, "it is not known whose subscription this is to be: give --upstream-app with the key of an app there")
	}
	token, err := elsewhere(s.t, s.c, "upstream-token", s.c.String("upstream-token"))
	if err != nil {
		return err
	}
	path := "/api/v1/apps/" + url.PathEscape(app) + "/subscription"
	body := map[string]any{"url": s.address, "description": "source " + s.name + " of another gatecast"}
	_, err = newAPI(base, token).call(ctx, http.MethodPut, path, body, nil)
	return upstreamError(base, err)
}

// registerAtStandin asks first whether it is one: what is ours must not be
// posted to the server of somebody else.
func (s *subscriber) registerAtStandin(ctx context.Context, base string) error {
	up := newAPI(base, "")
	var st struct {
		Misbehaving *[]string `json:"misbehaving"`
	}
	_, err := up.call(ctx, http.MethodGet, "/standin/status", nil, &st)
	switch {
	case gatecast.CodeOf(err) == gatecast.Unavailable, ctx.Err() != nil:
		return upstreamError(base, err)
	case err != nil || st.Misbehaving == nil:
		e := gatecast.Errorf(gatecast.Conflict, "%s is no stand-in: its subscription cannot be set from here without --upstream-token", base)
		e.Remedy = "if it is a gatecast, give --upstream-token; if it is a SenseLink server, leave --upstream-url out and set the URL by hand"
		return e
	}
	_, err = up.call(ctx, http.MethodPost, "/standin/subscribe", map[string]string{"url": s.address}, nil)
	return upstreamError(base, err)
}

// upstreamError names the flag of a server that is not ours.
func upstreamError(base string, err error) error {
	if err == nil {
		return nil
	}
	e := gatecast.Errorf(gatecast.CodeOf(err), "--upstream-url %s: %v", base, err)
	e.Cause = err
	if told, ours := errors.AsType[*gatecast.Error](err); ours {
		e.Message, e.Remedy = fmt.Sprintf("--upstream-url %s: %s", base, told.Message), strings.NewReplacer(
			"--server (or GATECAST_SERVER)", "--upstream-url", "--server", "--upstream-url", "--token, GATECAST_TOKEN or --data", "--upstream-token",
		).Replace(told.Remedy)
	}
	return e
}
