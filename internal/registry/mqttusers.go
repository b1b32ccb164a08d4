package registry

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket"
)

// mqttPassword is how many random bytes a password has. Written in hexadecimal
// it is short enough to be typed at a device.
const mqttPassword = 16

// CreateMQTTUser makes a user for MQTT. The password is returned here and never
// again: only its hash is stored (see [auth.HashToken], also for why that may be
// a fast one). Errors: Invalid with the field, Conflict if the name is taken or
// there are too many.
func (r *Registry) CreateMQTTUser(ctx context.Context, spec gatecast.MQTTUserSpec) (*gatecast.MQTTUser, string, error) {
	if err := spec.Validate(); err != nil {
		return nil, "", err
	}
	if n := r.cache.load().mqttUsers.len(); n >= r.opts.MaxMQTTUsers {
		return nil, "", full("users for MQTT", n)
	}
	password := randomHex(mqttPassword)
	now := r.now()
	u := &gatecast.MQTTUser{
		Name: spec.Name, Devices: slices.Clone(spec.Devices), Password: auth.HashToken(password), Created: now, Rotated: now,
	}
	value, err := encodeMQTTUser(u)
	if err != nil {
		return nil, "", fmt.Errorf("encode user for MQTT: %w", err)
	}
	e := bucket.Entry{Key: mqttUserEntry + u.Name, Value: value}
	e.Rev, err = r.store.Put(ctx, e.Key, e.Value, 0)
	if errors.Is(err, bucket.ErrChanged) {
		return nil, "", mqttNameTaken(u.Name)
	}
	if err != nil {
		return nil, "", fmt.Errorf("create user %s for MQTT: %w", u.Name, err)
	}
	r.cache.wrote(e, r.decode(e))
	u, err = r.mqttUser(u.Name)
	return u, password, err
}

// MQTTUser returns the user with the name, and whether there is one. It costs no
// I/O. Nobody may change what it points to.
func (r *Registry) MQTTUser(name string) (*gatecast.MQTTUser, bool) {
	return r.cache.load().mqttUsers.get(name)
}

// MQTTUsers returns all users for MQTT, ordered by name. It costs no I/O. Nobody
// may change what they point to.
func (r *Registry) MQTTUsers() []*gatecast.MQTTUser {
	list := slices.Collect(r.cache.load().mqttUsers.all())
	slices.SortFunc(list, func(a, b *gatecast.MQTTUser) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// SetMQTTDevices gives a user other devices. Errors: Invalid with the field,
// NotFound.
func (r *Registry) SetMQTTDevices(ctx context.Context, name string, devices []string) (*gatecast.MQTTUser, error) {
	return r.changeMQTTUser(ctx, name, func(u *gatecast.MQTTUser) error {
		u.Devices = devices
		return gatecast.MQTTUserSpec{Name: name, Devices: devices}.Validate()
	})
}

// RotateMQTTUser gives a user another password, which is returned here and never
// again. The former one is worth nothing at once. Error: NotFound.
func (r *Registry) RotateMQTTUser(ctx context.Context, name string) (*gatecast.MQTTUser, string, error) {
	password := randomHex(mqttPassword)
	u, err := r.changeMQTTUser(ctx, name, func(u *gatecast.MQTTUser) error {
		u.Password, u.Rotated = auth.HashToken(password), r.now()
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return u, password, nil
}

// DeleteMQTTUser removes a user for good; its name is free again. Error:
// NotFound.
func (r *Registry) DeleteMQTTUser(ctx context.Context, name string) error {
	if !gatecast.ValidMQTTUserName(name) {
		return noMQTTUser(name)
	}
	_, err := r.remove(ctx, mqttUserEntry+name)
	if errors.Is(err, bucket.ErrMissing) {
		return noMQTTUser(name)
	}
	if err != nil {
		return fmt.Errorf("delete user %s for MQTT: %w", name, err)
	}
	return nil
}

// changeMQTTUser lets change work on a user, writes it (see rewrite) and returns
// it.
func (r *Registry) changeMQTTUser(ctx context.Context, name string, change func(*gatecast.MQTTUser) error) (*gatecast.MQTTUser, error) {
	if !gatecast.ValidMQTTUserName(name) {
		return nil, noMQTTUser(name)
	}
	err := r.rewrite(ctx, mqttUserEntry+name, func(value []byte) ([]byte, error) {
		u, err := decodeMQTTUser(value)
		if err != nil {
			return nil, fmt.Errorf("read user %s for MQTT: %w", name, err)
		}
		if err := change(u); err != nil {
			return nil, err
		}
		return encodeMQTTUser(u)
	})
	if errors.Is(err, bucket.ErrMissing) {
		return nil, noMQTTUser(name)
	}
	if err != nil {
		return nil, err
	}
	return r.mqttUser(name)
}

// mqttUser returns one that was written a moment ago.
func (r *Registry) mqttUser(name string) (*gatecast.MQTTUser, error) {
	u, ok := r.MQTTUser(name)
	if !ok {
		return nil, noMQTTUser(name) // deleted by somebody else since
	}
	return u, nil
}

func noMQTTUser(name string) error {
	err := gatecast.Errorf(gatecast.NotFound, "there is no user for MQTT with the name %q", cut(name, 40))
	err.Remedy = "list them with: gatecast mqtt user list"
	return err
}

func mqttNameTaken(name string) error {
	return &gatecast.Error{
		Code: gatecast.Conflict, Message: fmt.Sprintf("there is another user for MQTT with the name %q", name),
		Remedy: "choose another name, or give that one other devices: gatecast mqtt user update",
		At:     &gatecast.Place{Index: -1, Path: "/name", Found: name, Expected: "a name no other user has"},
	}
}

// mqttUserRecord is how a user for MQTT lies in the store: with the hash of its
// password.
type mqttUserRecord struct {
	V       int       `json:"v"`
	Name    string    `json:"name"`
	Devices []string  `json:"devices"`
	Hash    string    `json:"sha256"` // hexadecimal
	Created time.Time `json:"created"`
	Rotated time.Time `json:"rotated"`
}

func encodeMQTTUser(u *gatecast.MQTTUser) ([]byte, error) {
	return json.Marshal(mqttUserRecord{
		V: recordVersion, Name: u.Name, Devices: u.Devices, Hash: hex.EncodeToString(u.Password[:]), Created: u.Created, Rotated: u.Rotated,
	})
}

func decodeMQTTUser(value []byte) (*gatecast.MQTTUser, error) {
	var rec mqttUserRecord
	if err := unmarshal(value, &rec, &rec.V); err != nil {
		return nil, err
	}
	hash, err := hex.DecodeString(rec.Hash)
	if err != nil || len(hash) != 32 {
		return nil, fmt.Errorf("user %s for MQTT has no SHA-256 hash", rec.Name)
	}
	u := &gatecast.MQTTUser{Name: rec.Name, Devices: rec.Devices, Password: [32]byte(hash), Created: rec.Created, Rotated: rec.Rotated}
	return u, gatecast.MQTTUserSpec{Name: u.Name, Devices: u.Devices}.Validate()
}
