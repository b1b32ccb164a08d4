package api

import (
	"context"
	"math"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
)

// Devices knows the devices that events come from.
type Devices interface {
	Devices(q gatecast.DeviceQuery) gatecast.DevicePage
	Device(sn string) (gatecast.Device, gatecast.Rhythm, bool)
	// Forget forgets a device. Its error is NotFound if there is none.
	Forget(ctx context.Context, sn string) error
	// SourceFreshness tells how the devices of a source, all together, stand.
	SourceFreshness(name string) gatecast.Freshness
	// Newest returns the position of the newest record or alarm, 0 if that is not
	// known.
	Newest() gatecast.Seq
	// Level reports whether the past has been read: before that nobody is judged.
	Level() bool
}

// deviceRoutes is the part of the route table that is about devices.
func (s *server) deviceRoutes() []route {
	const all = "/api/v1/devices"
	const one = all + "/{sn}"
	return []route{
		line(auth.Read, "GET", all, "list-devices", "List the devices that events come from, and what their silence means", 200, to(s, s.listDevices)),
		line(auth.Read, "GET", one, "get-device", "Show a device and its rhythm", 200, to(s, s.getDevice)),
		line(auth.Admin, "DELETE", one, "forget-device", "Forget a device that was taken away", 204, to(s, s.forgetDevice)),
	}
}

// FreshnessBody is how recent what is known of something is.
type FreshnessBody struct {
	State gatecast.Fresh `json:"state" doc:"live, quiet (silent, as is usual), stale (silent, and should not be), dead (so for long), unknown (silent, and nobody can say whether that is its own fault)"`
	Since *time.Time     `json:"since,omitempty" doc:"When state became so; absent if that is not known"`
	Why   string         `json:"why"`
}

func showFreshness(f gatecast.Freshness) FreshnessBody {
	return FreshnessBody{State: f.State, Since: whole(f.Since), Why: f.Why}
}

// DeviceBody is a device as the API shows it.
type DeviceBody struct {
	SN        string        `json:"sn" doc:"LDID"`
	Name      string        `json:"name"`
	Place     string        `json:"place"`
	Source    string        `json:"source" doc:"The door that its latest event came in by"`
	First     *time.Time    `json:"first_seen,omitempty"`
	Seen      *time.Time    `json:"last_seen,omitempty" doc:"By the server's clock; absent if only an alarm about its absence is known"`
	Stored    *time.Time    `json:"last_stored,omitempty" doc:"When its latest event was stored"`
	Behind    float64       `json:"clock_behind_seconds" doc:"How far its clock is behind the server's, negative if ahead; 0 unless that is certain"`
	Records   uint64        `json:"records"`
	Alarms    uint64        `json:"alarms" doc:"Without those that it is offline"`
	Freshness FreshnessBody `json:"freshness"`
	Silence   SilenceBody   `json:"silence"`
}

// SilenceBody is how a device's silence compares with what is usual.
type SilenceBody struct {
	Missed float64    `json:"missed" doc:"Events that it should have sent since it was last heard of, by its rhythm"`
	Limit  float64    `json:"limit" doc:"So many of them make it stale"`
	Usual  *float64   `json:"usual_seconds,omitempty" doc:"The silence at which that is reached; absent: not within 5 weeks"`
	Learnt *time.Time `json:"learnt" doc:"Before this moment nobody can say what is usual"`
}

func showDevice(d gatecast.Device) DeviceBody {
	b := DeviceBody{
		SN: d.SN, Name: d.Name, Place: d.Place, Source: d.Source, First: whole(d.First), Seen: whole(d.Seen), Stored: whole(d.Stored),
		Behind: d.Behind.Seconds(), Records: d.Records, Alarms: d.Alarms, Freshness: showFreshness(d.Freshness),
		Silence: SilenceBody{Missed: hundredth(d.Silence.Missed), Limit: hundredth(d.Silence.Limit), Learnt: whole(d.Silence.Learnt)},
	}
	if d.Silence.Usual > 0 {
		b.Silence.Usual = new(math.Round(d.Silence.Usual.Seconds()))
	}
	return b
}

// whole is a moment to the second, or nothing.
func whole(t time.Time) *time.Time { return unlessZero(t.UTC().Truncate(time.Second)) }

func hundredth(f float64) float64 { return math.Round(f*100) / 100 }

type listDevicesInput struct {
	State  gatecast.Fresh `query:"state" enum:"live,quiet,stale,dead,unknown" doc:"Only devices in this state"`
	Source string         `query:"source" doc:"Only devices whose latest event came in by this door"`
	Text   string         `query:"q" doc:"Only devices with this in their LDID, name or place"`
	After  string         `query:"after" doc:"next of the page before"`
	Limit  int            `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}

type listDevicesOutput struct {
	Body struct {
		Devices []DeviceBody           `json:"devices" nullable:"false" doc:"By LDID"`
		Next    string                 `json:"next,omitempty" doc:"Give it as after for more; absent if there are none"`
		Counts  map[gatecast.Fresh]int `json:"counts" doc:"Of all devices, by state"`
		Level   bool                   `json:"level" doc:"The past has been read; before that nobody is judged"`
	}
}

func (s *server) listDevices(_ context.Context, in *listDevicesInput) (*listDevicesOutput, error) {
	page := s.opts.Devices.Devices(gatecast.DeviceQuery{State: in.State, Source: in.Source, Text: in.Text, After: in.After, Limit: in.Limit})
	out := &listDevicesOutput{}
	out.Body.Devices = make([]DeviceBody, len(page.Devices))
	for i, d := range page.Devices {
		out.Body.Devices[i] = showDevice(d)
	}
	if page.More {
		out.Body.Next = page.Devices[len(page.Devices)-1].SN
	}
	out.Body.Counts = map[gatecast.Fresh]int{}
	for _, state := range gatecast.FreshStates() {
		out.Body.Counts[state] = page.Counts[state]
	}
	out.Body.Level = s.opts.Devices.Level()
	return out, nil
}

type deviceInput struct {
	SN string `path:"sn"`
}

type deviceOutput struct {
	Body struct {
		DeviceBody
		Rhythm [7][24]float64 `json:"rhythm" doc:"Events of each hour, on average of the last weeks: Monday first, in the site's zone"`
	}
}

func (s *server) getDevice(_ context.Context, in *deviceInput) (*deviceOutput, error) {
	d, rhythm, there := s.opts.Devices.Device(in.SN)
	if !there {
		e := gatecast.Errorf(gatecast.NotFound, "there is no device with the LDID %q", shorten(in.SN))
		e.Remedy = "list them with: gatecast device list"
		return nil, e
	}
	out := &deviceOutput{}
	out.Body.DeviceBody = showDevice(d)
	for slot, rate := range rhythm {
		out.Body.Rhythm[slot/24][slot%24] = hundredth(rate)
	}
	return out, nil
}

func (s *server) forgetDevice(ctx context.Context, in *deviceInput) (*struct{}, error) {
	if err := s.opts.Devices.Forget(ctx, in.SN); err != nil {
		return nil, err
	}
	s.logChange(ctx, "device forgotten", "device", in.SN)
	return nil, nil
}
