package api

import (
	"context"
	"time"

	"github.com/gatecast/gatecast"
)

const mqttUsersPath = "/api/v1/mqtt/users/"

// mqttUserBody is a user for MQTT as the API shows it.
type mqttUserBody struct {
	Name     string    `json:"name"`
	Devices  []string  `json:"devices" nullable:"false" doc:"LDIDs; one that ends in '*' stands for all that begin so"`
	Created  time.Time `json:"created"`
	Rotated  time.Time `json:"rotated" doc:"When it got this password"`
	Online   int       `json:"online" doc:"Devices signed in as this user, on this node"`
	Password string    `json:"password,omitempty" doc:"Only after create and rotate, and never again"`
}

func (s *server) showMQTTUser(u *gatecast.MQTTUser) mqttUserBody {
	return mqttUserBody{Name: u.Name, Devices: u.Devices, Created: u.Created, Rotated: u.Rotated, Online: s.opts.Upstreams.Online(u.Name)}
}

type mqttUserInput struct {
	Name string `path:"name"`
}

type mqttUserOutput struct {
	Body mqttUserBody
}

type createMQTTUserInput struct {
	Body struct {
		Name    string   `json:"name" doc:"1 to 64 of a-z, A-Z, 0-9, '-' and '_'; it never changes"`
		Devices []string `json:"devices" nullable:"false" doc:"1 to 1000 LDIDs whose events it may send; one that ends in '*' stands for all that begin so, \"*\" for every device"`
	}
}

type madeMQTTUserOutput struct {
	Location string `header:"Location"`
	Body     mqttUserBody
}

func (s *server) createMQTTUser(ctx context.Context, in *createMQTTUserInput) (*madeMQTTUserOutput, error) {
	u, password, err := s.opts.Upstreams.MQTT.CreateMQTTUser(ctx, gatecast.MQTTUserSpec{Name: in.Body.Name, Devices: in.Body.Devices})
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "mqtt user created", "user", u.Name, "devices", len(u.Devices))
	out := &madeMQTTUserOutput{Location: mqttUsersPath + u.Name, Body: s.showMQTTUser(u)}
	out.Body.Password = password
	return out, nil
}

type listMQTTUsersOutput struct {
	Body struct {
		Users []mqttUserBody `json:"users" nullable:"false" doc:"By name"`
	}
}

func (s *server) listMQTTUsers(context.Context, *struct{}) (*listMQTTUsersOutput, error) {
	out := &listMQTTUsersOutput{}
	out.Body.Users = []mqttUserBody{}
	for _, u := range s.opts.Upstreams.MQTT.MQTTUsers() {
		out.Body.Users = append(out.Body.Users, s.showMQTTUser(u))
	}
	return out, nil
}

func (s *server) getMQTTUser(_ context.Context, in *mqttUserInput) (*mqttUserOutput, error) {
	u, ok := s.opts.Upstreams.MQTT.MQTTUser(in.Name)
	if !ok {
		err := gatecast.Errorf(gatecast.NotFound, "there is no user for MQTT with the name %q", shorten(in.Name))
		err.Remedy = "list them with: gatecast mqtt user list"
		return nil, err
	}
	return &mqttUserOutput{s.showMQTTUser(u)}, nil
}

type updateMQTTUserInput struct {
	Name string `path:"name"`
	Body struct {
		Devices []string `json:"devices" nullable:"false" doc:"In the place of those it had; as for create"`
	}
}

func (s *server) updateMQTTUser(ctx context.Context, in *updateMQTTUserInput) (*mqttUserOutput, error) {
	u, err := s.opts.Upstreams.MQTT.SetMQTTDevices(ctx, in.Name, in.Body.Devices)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "mqtt user changed", "user", u.Name, "devices", len(u.Devices))
	return &mqttUserOutput{s.showMQTTUser(u)}, nil
}

func (s *server) rotateMQTTUser(ctx context.Context, in *mqttUserInput) (*mqttUserOutput, error) {
	u, password, err := s.opts.Upstreams.MQTT.RotateMQTTUser(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	s.logChange(ctx, "mqtt user rotated", "user", u.Name)
	out := &mqttUserOutput{s.showMQTTUser(u)}
	out.Body.Password = password
	return out, nil
}

func (s *server) deleteMQTTUser(ctx context.Context, in *mqttUserInput) (*struct{}, error) {
	if err := s.opts.Upstreams.MQTT.DeleteMQTTUser(ctx, in.Name); err != nil {
		return nil, err
	}
	s.logChange(ctx, "mqtt user deleted", "user", in.Name)
	return nil, nil
}
