package api

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// Sources is where sources are kept. Errors carry codes, and places as JSON
// Pointers into the request's body.
type Sources interface {
	CreateSource(ctx context.Context, spec gatecast.SourceSpec) (*gatecast.Source, error)
	Source(name string) (*gatecast.Source, bool)
	Sources() []*gatecast.Source
	// UpdateSource may call change several times, each time with the settings as
	// they are then.
	UpdateSource(ctx context.Context, name string, change func(*gatecast.SourceSettings) error) (*gatecast.Source, error)
	PauseSource(ctx context.Context, name, reason string) (*gatecast.Source, error)
	ResumeSource(ctx context.Context, name string) (*gatecast.Source, error)
	// RotateSource is for sources that post; any other is a Conflict.
	RotateSource(ctx context.Context, name string, overlap time.Duration) (*gatecast.Source, error)
	DeleteSource(ctx context.Context, name string) error
}

// SourceStates tells how sources stand.
type SourceStates interface {
	// State returns the state of a source; its Status is empty if nobody has
	// heard of the source yet.
	State(name string) gatecast.SourceState
	// Reconcile asks a source what it has and fills in what is missing, before it
	// returns what is known then. A look that failed is an error, and one of a
	// source that cannot be asked a Conflict. If ctx ends first, its error is
	// returned, and the look goes on.
	Reconcile(ctx context.Context, name string) (gatecast.Statement, error)
}

// Quarantine is where what could not be understood is kept.
type Quarantine interface {
	// List returns up to limit of it, newest first, that came before the one with
	// the ID before; an empty ID is after the newest. Bodies may be left out.
	List(ctx context.Context, before string, limit int) ([]gatecast.Quarantined, error)
	Get(ctx context.Context, id string) (gatecast.Quarantined, error)
	Drop(ctx context.Context, id string) error
	// Inject understands q.Body as if it came from q.Source now, and stores it.
	// An error that it is not understood is of the code Invalid or Malformed.
	Inject(ctx context.Context, q gatecast.Quarantined) (gatecast.Receipt, error)
}

// MQTTUsers is where the users that devices sign in as over MQTT are kept.
// Errors carry codes, and places as JSON Pointers into the request's body.
type MQTTUsers interface {
	CreateMQTTUser(ctx context.Context, spec gatecast.MQTTUserSpec) (*gatecast.MQTTUser, string, error)
	MQTTUser(name string) (*gatecast.MQTTUser, bool)
	MQTTUsers() []*gatecast.MQTTUser
	SetMQTTDevices(ctx context.Context, name string, devices []string) (*gatecast.MQTTUser, error)
	RotateMQTTUser(ctx context.Context, name string) (*gatecast.MQTTUser, string, error)
	DeleteMQTTUser(ctx context.Context, name string) error
}

// Upstreams is what the routes about what events come from work on: other
// servers, and devices. All but Wait are required.
type Upstreams struct {
	Sources    Sources
	States     SourceStates
	Quarantine Quarantine
	MQTT       MQTTUsers
	Online     func(user string) int // how many devices are signed in as a user for MQTT, on this node
	Wait       time.Duration         // for the end of a look that somebody asked for, less than an answer may take; default 20 s
}

// upstreamRoutes is the part of the route table that is about sources and what
// could not be understood of them.
func (s *server) upstreamRoutes() []route {
	const all = "/api/v1/sources"
	const one = all + "/{name}"
	const kept = "/api/v1/quarantine"
	const users = "/api/v1/mqtt/users"
	const user = users + "/{name}"
	return []route{
		line(auth.Admin, "POST", all, "create-source", "Take events from a SenseLink server", 201, to(s, s.createSource)),
		line(auth.Read, "GET", all, "list-sources", "List the sources", 200, to(s, s.listSources)),
		line(auth.Read, "GET", one, "get-source", "Show a source and how it stands", 200, to(s, s.getSource)),
		line(auth.Admin, "PATCH", one, "update-source", "Change what is named of a source; null means the default", 200, to(s, s.updateSource)),
		line(auth.Admin, "DELETE", one, "delete-source", "Delete a source; its events stay", 204, to(s, s.deleteSource)),
		line(auth.Admin, "POST", one+"/pause", "pause-source", "Take nothing from a source until it is resumed", 200, to(s, s.pauseSource)),
		line(auth.Admin, "POST", one+"/resume", "resume-source", "Go on with a paused source", 200, to(s, s.resumeSource)),
		line(auth.Admin, "POST", one+"/reconcile", "reconcile-source", "Ask a source what it has, and fill in what is missing", 200, to(s, s.reconcileSource)),
		line(auth.Admin, "POST", one+"/rotate", "rotate-source", "Give a source that posts a new URL to post to", 200, to(s, s.rotateSource)),
		line(auth.Admin, "GET", one+"/token", "reveal-source-token", "Show where a source posts its events to; this is logged", 200, to(s, s.revealSourceToken)),
		line(auth.Read, "GET", kept, "list-quarantine", "List what could not be understood, newest first", 200, to(s, s.listQuarantine)),
		line(auth.Read, "GET", kept+"/{id}", "get-quarantined", "Show something that could not be understood", 200, to(s, s.getQuarantined)),
		line(auth.Admin, "POST", kept+"/{id}/inject", "inject-quarantined", "Try once more to understand it, as it is or corrected, and store it", 200, to(s, s.injectQuarantined)),
		line(auth.Admin, "DELETE", kept+"/{id}", "drop-quarantined", "Forget something that could not be understood", 204, to(s, s.dropQuarantined)),
		line(auth.Admin, "POST", users, "create-mqtt-user", "Let a device, or several, sign in over MQTT", 201, to(s, s.createMQTTUser)),
		line(auth.Read, "GET", users, "list-mqtt-users", "List the users for MQTT", 200, to(s, s.listMQTTUsers)),
		line(auth.Read, "GET", user, "get-mqtt-user", "Show a user for MQTT", 200, to(s, s.getMQTTUser)),
		line(auth.Admin, "PATCH", user, "update-mqtt-user", "Give a user for MQTT other devices", 200, to(s, s.updateMQTTUser)),
		line(auth.Admin, "POST", user+"/rotate", "rotate-mqtt-user", "Give a user for MQTT another password; the former ends at once", 200, to(s, s.rotateMQTTUser)),
		line(auth.Admin, "DELETE", user, "delete-mqtt-user", "Delete a user for MQTT, and cut its devices off", 204, to(s, s.deleteMQTTUser)),
	}
}
