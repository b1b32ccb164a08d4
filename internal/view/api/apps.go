package api

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

// appBody is an app as the API shows it.
type appBody struct {
	Key      string          `json:"app_key" example:"0123456789abcdef"`
	Name     string          `json:"name"`
	Enabled  bool            `json:"enabled"`
	MaxConns int             `json:"max_connections" doc:"Connections at once; 0 means no limit of its own"`
	Window   string          `json:"timestamp_window" doc:"How far a signature's timestamp may be off, or \"off\"" example:"30m0s"`
	Kinds    []gatecast.Kind `json:"kinds" nullable:"false" doc:"30000 (record), 30100 (alarm); empty means every kind"`
	CatchUp  string          `json:"catch_up" doc:"How old the events may be that are sent to a client that was away: a duration, \"off\" or \"all\"" example:"24h0m0s"`
	First    string          `json:"first_connection" doc:"Where a consumer begins that was never here before: \"latest\" or \"earliest\""`
	Cursors  string          `json:"cursors" doc:"Whose position is remembered: that of the \"app\", or of each IP \"address\""`
	Created  time.Time       `json:"created"`
	Secrets  []secretBody    `json:"secrets" nullable:"false" doc:"The valid secrets, newest first, without their values"`
	Secret   string          `json:"app_secret,omitempty" doc:"The newest secret; only after create and rotate"`

	Freshness *FreshnessBody `json:"freshness,omitempty" doc:"Whether it is here, and has what it should; only of get and list, while the journal can be asked"`
}

type secretBody struct {
	Created time.Time  `json:"created"`
	Expires *time.Time `json:"expires,omitempty" doc:"Absent: never"`
}

type appOutput struct {
	Body appBody
}

type createdAppOutput struct {
	Location string `header:"Location"`
	Body     appBody
}

type appInput struct {
	Key string `path:"app_key"`
}

func body(a *gatecast.App) appBody {
	b := appBody{
		Key: a.Key, Name: a.Name, Enabled: a.Enabled, MaxConns: a.MaxConns, Window: a.Window.String(),
		Kinds: a.Kinds, CatchUp: a.CatchUp.Window.String(), First: string(a.CatchUp.First), Cursors: string(a.CatchUp.Cursors),
		Created: a.Created, Secrets: make([]secretBody, len(a.Secrets)),
	}
	if b.Kinds == nil {
		b.Kinds = []gatecast.Kind{}
	}
	for i, secret := range a.Secrets {
		b.Secrets[i].Created = secret.Created
		if !secret.Expires.IsZero() {
			b.Secrets[i].Expires = &secret.Expires
		}
	}
	return b
}

func bodyWithSecret(a *gatecast.App) appBody {
	b := body(a)
	b.Secret = newestSecret(a)
	return b
}

func newestSecret(a *gatecast.App) string {
	if len(a.Secrets) == 0 {
		return ""
	}
	return a.Secrets[0].Value
}

// createAppBody leaves the limits of its values to gatecast.AppSpec, so that
// the API and every other way in refuse them in the same words.
type createAppBody struct {
	Name     string          `json:"name" doc:"For people, 1 to 100 characters, unique"`
	MaxConns int             `json:"max_connections,omitempty" doc:"Connections at once; 0 means no limit of its own"`
	Window   string          `json:"timestamp_window,omitempty" doc:"A duration or \"off\"; default 30m" example:"30m"`
	Kinds    []gatecast.Kind `json:"kinds,omitempty" nullable:"false" doc:"30000 (record), 30100 (alarm); empty means every kind"`
	CatchUp  string          `json:"catch_up,omitempty" doc:"A duration of at least 1s, \"off\" or \"all\"; default 24h" example:"24h"`
	First    string          `json:"first_connection,omitempty" doc:"\"latest\" or \"earliest\"; default latest"`
	Cursors  string          `json:"cursors,omitempty" doc:"\"app\" or \"address\"; default app"`
	Key      string          `json:"app_key,omitempty" doc:"Of an app to import, 16 lower-case hexadecimal characters"`
	Secret   string          `json:"app_secret,omitempty" doc:"Of an app to import, 32 to 128 letters and digits"`
}

type createAppInput struct {
	Body createAppBody
}

func (s *server) createApp(ctx context.Context, in *createAppInput) (*createdAppOutput, error) {
	spec := gatecast.AppSpec{
		Name: in.Body.Name, MaxConns: in.Body.MaxConns, Kinds: in.Body.Kinds, Key: in.Body.Key, Secret: in.Body.Secret,
		CatchUp: gatecast.CatchUp{First: gatecast.First(in.Body.First), Cursors: gatecast.CursorBy(in.Body.Cursors)},
	}
	if in.Body.Window != "" {
		var err error
		if spec.Window, err = parseWindow(in.Body.Window); err != nil {
			return nil, err
		}
	}
	if in.Body.CatchUp != "" {
		var err error
		if spec.CatchUp.Window, err = parseLookback(in.Body.CatchUp); err != nil {
			return nil, err
		}
	}
	a, err := s.opts.Apps.CreateApp(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "app created", "app", a.Key, "name", a.Name, "imported", in.Body.Key != "")
	return &createdAppOutput{Location: "/api/v1/apps/" + a.Key, Body: bodyWithSecret(a)}, nil
}

type listAppsOutput struct {
	Body struct {
		Apps []appBody `json:"apps" nullable:"false"`
	}
}

func (s *server) listApps(ctx context.Context, _ *struct{}) (*listAppsOutput, error) {
	fresh := s.freshnesses(ctx)
	out := &listAppsOutput{}
	out.Body.Apps = []appBody{}
	for _, a := range s.opts.Apps.Apps() {
		b := body(a)
		b.Freshness = fresh(a)
		out.Body.Apps = append(out.Body.Apps, b)
	}
	return out, nil
}

func (s *server) getApp(ctx context.Context, in *appInput) (*appOutput, error) {
	a, err := s.find(in.Key)
	if err != nil {
		return nil, err
	}
	b := body(a)
	b.Freshness = s.freshnesses(ctx)(a)
	return &appOutput{b}, nil
}

func (s *server) find(key string) (*gatecast.App, error) {
	a, ok := s.opts.Apps.App(key)
	if !ok {
		err := gatecast.Errorf(gatecast.NotFound, "there is no app with the key %q", shorten(key))
		err.Remedy = "list the apps with: gatecast app list"
		return nil, err
	}
	return a, nil
}

type patchAppInput struct {
	Key  string `path:"app_key"`
	Body struct {
		Name     *string            `json:"name,omitempty"`
		Enabled  *bool              `json:"enabled,omitempty"`
		MaxConns *int               `json:"max_connections,omitempty"`
		Window   *string            `json:"timestamp_window,omitempty"`
		Kinds    *[]gatecast.Kind   `json:"kinds,omitempty" nullable:"false"`
		CatchUp  *string            `json:"catch_up,omitempty" doc:"A duration of at least 1s, \"off\" or \"all\""`
		First    *gatecast.First    `json:"first_connection,omitempty" doc:"\"latest\" or \"earliest\""`
		Cursors  *gatecast.CursorBy `json:"cursors,omitempty" doc:"\"app\" or \"address\""`
	}
}

func (s *server) updateApp(ctx context.Context, in *patchAppInput) (*appOutput, error) {
	b := in.Body
	patch := gatecast.AppPatch{
		Name: b.Name, Enabled: b.Enabled, MaxConns: b.MaxConns, Kinds: b.Kinds, First: b.First, Cursors: b.Cursors,
	}
	if b.Window != nil {
		w, err := parseWindow(*b.Window)
		if err != nil {
			return nil, err
		}
		patch.Window = &w
	}
	if b.CatchUp != nil {
		l, err := parseLookback(*b.CatchUp)
		if err != nil {
			return nil, err
		}
		patch.Lookback = &l
	}
	return s.update(ctx, in.Key, "app changed", patch)
}

func (s *server) enableApp(ctx context.Context, in *appInput) (*appOutput, error) {
	return s.update(ctx, in.Key, "app enabled", gatecast.AppPatch{Enabled: new(true)})
}

func (s *server) disableApp(ctx context.Context, in *appInput) (*appOutput, error) {
	return s.update(ctx, in.Key, "app disabled", gatecast.AppPatch{Enabled: new(false)})
}

func (s *server) update(ctx context.Context, key, what string, patch gatecast.AppPatch) (*appOutput, error) {
	a, err := s.opts.Apps.UpdateApp(ctx, key, patch)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, what, "app", a.Key, "name", a.Name)
	return &appOutput{body(a)}, nil
}

func (s *server) deleteApp(ctx context.Context, in *appInput) (*struct{}, error) {
	if err := s.opts.Apps.DeleteApp(ctx, in.Key); err != nil {
		return nil, err
	}
	s.logChange(ctx, "app deleted", "app", in.Key)
	return nil, nil
}

type secretOutput struct {
	Body struct {
		Key    string `json:"app_key"`
		Secret string `json:"app_secret"`
	}
}

func (s *server) revealSecret(ctx context.Context, in *appInput) (*secretOutput, error) {
	a, err := s.find(in.Key)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "app secret revealed", "app", a.Key, "name", a.Name)
	out := &secretOutput{}
	out.Body.Key, out.Body.Secret = a.Key, newestSecret(a)
	return out, nil
}

type rotateInput struct {
	Key  string `path:"app_key"`
	Body *struct {
		Overlap string `json:"overlap,omitempty" doc:"How long the old secret stays valid; default 24h, 0s ends it at once" example:"24h"`
	}
}

// defaultOverlap is long enough to change a client during the next working
// day; ending the old secret at once would cut off every client that was not told.
const defaultOverlap = 24 * time.Hour

func (s *server) rotateApp(ctx context.Context, in *rotateInput) (*appOutput, error) {
	overlap := defaultOverlap
	if in.Body != nil && in.Body.Overlap != "" {
		var err error
		if overlap, err = gatecast.ParseDuration(in.Body.Overlap); err != nil {
			return nil, invalid("/overlap", in.Body.Overlap, `a duration such as "24h"`, "the overlap is not a duration")
		}
	}
	a, err := s.opts.Apps.RotateApp(ctx, in.Key, overlap)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "app secret rotated", "app", a.Key, "name", a.Name, "overlap", overlap)
	return &appOutput{bodyWithSecret(a)}, nil
}

func parseWindow(text string) (gatecast.Window, error) {
	w, err := gatecast.ParseWindow(text)
	if err != nil {
		return 0, invalid("/timestamp_window", text, `a positive duration such as "30m", or "off"`, "the timestamp window cannot be read")
	}
	return w, nil
}

func parseLookback(text string) (gatecast.Lookback, error) {
	l, err := gatecast.ParseLookback(text)
	if err != nil {
		return 0, invalid("/catch_up", text, `a duration of at least one second such as "24h", "off" or "all"`, "the catch-up cannot be read")
	}
	return l, nil
}

func invalid(path, found, expected, message string) error {
	return &gatecast.Error{
		Code: gatecast.Invalid, Message: message, Remedy: "give " + expected,
		At: &gatecast.Place{Index: -1, Path: path, Found: shorten(found), Expected: expected},
	}
}
