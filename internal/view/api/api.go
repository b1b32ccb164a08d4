// Package api is the JSON API for administrators: apps, tokens, connections,
// subscriptions, sources, devices, users for MQTT and status.
//
// It owns the routes under /api/v1, the JSON shapes and the OpenAPI document
// made from them. It never decides what is valid and stores nothing: that is
// the business of the interfaces it is given. Start at [Register].
package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/problem"
)

// Apps is where apps are kept. Errors carry codes, and places as JSON Pointers
// into the request's body.
type Apps interface {
	CreateApp(ctx context.Context, spec gatecast.AppSpec) (*gatecast.App, error)
	App(key string) (*gatecast.App, bool)
	Apps() []*gatecast.App
	UpdateApp(ctx context.Context, key string, patch gatecast.AppPatch) (*gatecast.App, error)
	RotateApp(ctx context.Context, key string, overlap time.Duration) (*gatecast.App, error)
	DeleteApp(ctx context.Context, key string) error
}

// Tokens is where API tokens are kept.
type Tokens interface {
	CreateToken(ctx context.Context, name string, scopes []auth.Scope) (auth.Token, string, error)
	Tokens() []auth.Token
	DeleteToken(ctx context.Context, id string) error
}

// Status tells how the server is.
type Status interface {
	Status(ctx context.Context) (State, error)
}

// Connections tells who is connected to this node.
type Connections interface {
	// List returns every connection as it stands, in any order. There are no
	// more of them than the server's limits allow. The caller may change the
	// list.
	List() []gatecast.Connection
}

// Cursors tells how far the consumers of apps have got.
type Cursors interface {
	// Of returns the cursors of an app, by its key, in any order. The caller may
	// change the list.
	Of(app string) []gatecast.Cursor
}

// State is how the server is at one moment.
type State struct {
	Version     string          // of the program
	Extent      gatecast.Extent // of the journal
	Ready       bool            // whether it takes events and serves apps
	Reasons     []string        // why it is not ready; empty if it is
	Warnings    []string        // what is wrong besides, such as events lost to a damaged disk
	Connections int             // of apps, on this node
	Uptime      time.Duration   // of this process
}

// Options gives the API what it works on. All but Log and the limits are required.
type Options struct {
	Apps        Apps
	Tokens      Tokens
	Status      Status
	Connections Connections
	Cursors     Cursors
	Hooks       Hooks
	Upstreams   Upstreams
	Devices     Devices
	Doctor      Doctor
	Guard       auth.Guard   // its Fail is set to problem.Write if nil
	Version     string       // of the program, for the OpenAPI document; default "dev"
	MaxBody     int64        // of a request in bytes, a bigger one is refused with 413; default 256 KiB, the headers and lists of a subscription being long
	Log         *slog.Logger // changes, revealed secrets, faults; default: discard
}

func (o Options) withDefaults() Options {
	o.Version = cmp.Or(o.Version, "dev")
	o.Upstreams.Wait = cmp.Or(o.Upstreams.Wait, 20*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 256<<10)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Guard.Fail == nil {
		o.Guard.Fail = problem.Write
	}
	return o
}

// server answers the routes.
type server struct {
	opts Options
}

// Register adds the API's routes to mux: those under /api/v1, the document at
// /api/openapi.json, and an answer for every other path under /api/, so that
// there too a refusal is a problem document. Patterns that others add to mux
// are more specific than that last one, and win.
func Register(mux *http.ServeMux, o Options) {
	s := &server{opts: o.withDefaults()}
	guarded := &guardedMux{ServeMux: mux, guard: s.opts.Guard, scopes: map[string]auth.Scope{}}
	api := humago.New(guarded, config(s.opts.Version))
	for _, rt := range s.routes() {
		op := rt.op
		op.MaxBodyBytes = s.opts.MaxBody
		op.Security = []map[string][]string{{"token": {string(rt.scope)}}}
		op.Responses = map[string]*huma.Response{"default": errorResponse(api)}
		guarded.scopes[op.Method+" "+op.Path] = rt.scope
		rt.add(api, op)
	}
	mux.HandleFunc("GET /api/openapi.json", serveDocument(api))
	mux.Handle(restPattern, rest(mux))
}

// route is one line of the route table.
type route struct {
	scope auth.Scope
	op    huma.Operation
	add   func(huma.API, huma.Operation)
}

// to makes the last column of the route table from a handler.
func to[I, O any](s *server, handle func(context.Context, *I) (*O, error)) func(huma.API, huma.Operation) {
	return func(api huma.API, op huma.Operation) {
		huma.Register(api, op, func(ctx context.Context, in *I) (*O, error) {
			out, err := handle(ctx, in)
			if err != nil {
				return nil, s.refusal(ctx, op.OperationID, err)
			}
			return out, nil
		})
	}
}

func line(scope auth.Scope, method, path, id, summary string, status int, add func(huma.API, huma.Operation)) route {
	tag, _, _ := strings.Cut(strings.TrimPrefix(path, "/api/v1/"), "/")
	return route{scope: scope, add: add, op: huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status, Tags: []string{tag},
	}}
}

func (s *server) routes() []route {
	const app = "/api/v1/apps/{app_key}"
	return append([]route{
		line(auth.Admin, "POST", "/api/v1/apps", "create-app", "Create an app, or import one with its key and secret", 201, to(s, s.createApp)),
		line(auth.Admin, "GET", "/api/v1/apps", "list-apps", "List the apps", 200, to(s, s.listApps)),
		line(auth.Admin, "GET", app, "get-app", "Show an app", 200, to(s, s.getApp)),
		line(auth.Admin, "PATCH", app, "update-app", "Change an app", 200, to(s, s.updateApp)),
		line(auth.Admin, "DELETE", app, "delete-app", "Delete an app and close its connections", 204, to(s, s.deleteApp)),
		line(auth.Admin, "GET", app+"/secret", "reveal-secret", "Show an app's secret; this is logged", 200, to(s, s.revealSecret)),
		line(auth.Admin, "POST", app+"/rotate", "rotate-app", "Give an app a new secret", 200, to(s, s.rotateApp)),
		line(auth.Admin, "POST", app+"/enable", "enable-app", "Let an app connect", 200, to(s, s.enableApp)),
		line(auth.Admin, "POST", app+"/disable", "disable-app", "Refuse an app and close its connections", 200, to(s, s.disableApp)),
		line(auth.Read, "GET", app+"/cursors", "list-cursors", "Show how far the consumers of an app have got", 200, to(s, s.listCursors)),
		line(auth.Read, "GET", "/api/v1/connections", "list-connections", "List the connections to this node, of every app or of one", 200, to(s, s.listConnections)),
		line(auth.Admin, "POST", "/api/v1/tokens", "create-token", "Create an API token", 201, to(s, s.createToken)),
		line(auth.Admin, "GET", "/api/v1/tokens", "list-tokens", "List the API tokens", 200, to(s, s.listTokens)),
		line(auth.Admin, "DELETE", "/api/v1/tokens/{id}", "delete-token", "Delete an API token", 204, to(s, s.deleteToken)),
		line(auth.Read, "GET", "/api/v1/status", "get-status", "Show how the server is", 200, to(s, s.status)),
		line(auth.Admin, "GET", "/api/v1/doctor", "examine", "Look for what is wrong with the server, its machine and its sources", 200, to(s, s.examine)),
	}, slices.Concat(s.subscriptionRoutes(), s.upstreamRoutes(), s.deviceRoutes())...)
}

// config avoids huma's default one, which adds schema links to every response,
// and document routes that load scripts from elsewhere.
func config(version string) huma.Config {
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "gatecast",
				Version:     version,
				Description: "Administration of a gatecast server. Every refusal is a problem document (RFC 9457).",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "An API token; the scopes are admin, ingest and read."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{toProblem},
	}
}

// guardedMux puts the guard before every handler that huma registers. One
// whose scope is not in the table needs admin: a forgotten line locks, it does
// not open.
type guardedMux struct {
	*http.ServeMux
	guard  auth.Guard
	scopes map[string]auth.Scope // by pattern
}

// HandleFunc implements humago.Mux.
func (m *guardedMux) HandleFunc(pattern string, handle func(http.ResponseWriter, *http.Request)) {
	scope := cmp.Or(m.scopes[pattern], auth.Admin)
	m.ServeMux.Handle(pattern, m.guard.Require(scope, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // some answers hold secrets
		handle(w, r)
	})))
}

// serveDocument encodes the document once, when all routes are known.
func serveDocument(api huma.API) http.HandlerFunc {
	doc, err := json.MarshalIndent(api.OpenAPI(), "", "  ")
	if err != nil {
		panic(fmt.Sprintf("encode OpenAPI document: %v", err)) // the route table is wrong; every test finds it
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(doc) // the caller is gone if this fails
	}
}
