package registry

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/auth"
	"github.com/gatecast/gatecast/internal/bucket"
)

// The first part of a store key says what an entry is. Besides these there are
// nameEntry and keyIDEntry.
const (
	appEntry          = "app."
	subscriptionEntry = "sub."
	tokenEntry        = "token."
	sourceEntry       = "source."
	mqttUserEntry     = "mqttuser."
)

// recordVersion goes up when an older gatecast would misread a record. The
// fields of catch-up came without a new version: an older gatecast, which has
// no catch-up, passes over them and serves the app as it always did. If it
// changes the app, it drops them, and they are at their defaults again.
const recordVersion = 1

// appRecord is how an app lies in the store.
type appRecord struct {
	V        int             `json:"v"`
	Key      string          `json:"key"`
	Name     string          `json:"name"`
	Enabled  bool            `json:"enabled"`
	MaxConns int             `json:"max_connections"`
	Window   string          `json:"timestamp_window"`
	Kinds    []gatecast.Kind `json:"kinds"`
	CatchUp  string          `json:"catch_up"` // this and the two below are empty in older records
	First    string          `json:"first_connection"`
	Cursors  string          `json:"cursors"`
	Created  time.Time       `json:"created"`
	Secrets  []sealedSecret  `json:"secrets"` // newest first
}

type sealedSecret struct {
	Box     []byte    `json:"box"` // nonce and ciphertext; see sealer
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

// tokenRecord is how a token lies in the store: as its hash.
type tokenRecord struct {
	V       int          `json:"v"`
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Scopes  []auth.Scope `json:"scopes"`
	Created time.Time    `json:"created"`
	Hash    string       `json:"sha256"` // hexadecimal
}

func encodeApp(a *gatecast.App, s *sealer) ([]byte, error) {
	rec := appRecord{
		V: recordVersion, Key: a.Key, Name: a.Name, Enabled: a.Enabled, MaxConns: a.MaxConns,
		Window: a.Window.String(), Kinds: a.Kinds, Created: a.Created,
		CatchUp: a.CatchUp.Window.String(), First: string(a.CatchUp.First), Cursors: string(a.CatchUp.Cursors),
		Secrets: s.secrets(appSecret(a.Key), a.Secrets),
	}
	return json.Marshal(rec)
}

func decodeApp(value []byte, s *sealer) (*gatecast.App, error) {
	var rec appRecord
	if err := unmarshal(value, &rec, &rec.V); err != nil {
		return nil, err
	}
	window, err := gatecast.ParseWindow(rec.Window)
	if err != nil {
		return nil, err
	}
	catchUp, err := rec.catchUp()
	if err != nil {
		return nil, err
	}
	secrets, err := s.openSecrets(appSecret(rec.Key), rec.Secrets)
	if err != nil {
		return nil, err
	}
	return &gatecast.App{
		Key: rec.Key, Name: rec.Name, Enabled: rec.Enabled, MaxConns: rec.MaxConns,
		Window: window, Kinds: rec.Kinds, CatchUp: catchUp, Created: rec.Created, Secrets: secrets,
	}, nil
}

// catchUp reads the record's fields about it. What an older record lacks is at
// its default.
func (rec *appRecord) catchUp() (gatecast.CatchUp, error) {
	c := gatecast.CatchUp{First: gatecast.First(rec.First), Cursors: gatecast.CursorBy(rec.Cursors)}
	if rec.CatchUp != "" {
		var err error
		if c.Window, err = gatecast.ParseLookback(rec.CatchUp); err != nil {
			return c, err
		}
	}
	c = c.WithDefaults()
	return c, c.Validate()
}

func encodeToken(t tokenItem) ([]byte, error) {
	return json.Marshal(tokenRecord{
		V: recordVersion, ID: t.ID, Name: t.Name, Scopes: t.Scopes, Created: t.Created,
		Hash: hex.EncodeToString(t.hash[:]),
	})
}

func decodeToken(value []byte) (*tokenItem, error) {
	var rec tokenRecord
	if err := unmarshal(value, &rec, &rec.V); err != nil {
		return nil, err
	}
	hash, err := hex.DecodeString(rec.Hash)
	if err != nil || len(hash) != 32 {
		return nil, fmt.Errorf("token %s has no SHA-256 hash", rec.ID)
	}
	return &tokenItem{
		Token: auth.Token{ID: rec.ID, Name: rec.Name, Scopes: rec.Scopes, Created: rec.Created},
		hash:  [32]byte(hash),
	}, nil
}

func unmarshal(value []byte, rec any, version *int) error {
	if err := json.Unmarshal(value, rec); err != nil {
		return fmt.Errorf("decode record: %w", err)
	}
	if *version < 1 || *version > recordVersion {
		return fmt.Errorf("the record has version %d; this gatecast knows versions 1 to %d", *version, recordVersion)
	}
	return nil
}

// decodeItem reads any entry; the sorts that are not listed here are empty.
func decodeItem(e bucket.Entry, s *sealer) (item, error) {
	var it item
	var err error
	switch {
	case e.Gone:
	case strings.HasPrefix(e.Key, appEntry):
		it.app, err = decodeApp(e.Value, s)
		if err == nil && appEntry+it.app.Key != e.Key {
			return item{}, fmt.Errorf("the entry holds another app's record, %s", it.app.Key)
		}
	case strings.HasPrefix(e.Key, subscriptionEntry):
		it.sub, err = decodeSubscription(e.Value, s)
		if err == nil && subscriptionEntry+it.sub.ID != e.Key {
			return item{}, fmt.Errorf("the entry holds another subscription's record, %s", it.sub.ID)
		}
	case strings.HasPrefix(e.Key, sourceEntry):
		it.source, err = decodeSource(e.Value, s)
		if err == nil && sourceEntry+it.source.Name != e.Key {
			return item{}, fmt.Errorf("the entry holds another source's record, %s", it.source.Name)
		}
	case strings.HasPrefix(e.Key, mqttUserEntry):
		it.mqtt, err = decodeMQTTUser(e.Value)
		if err == nil && mqttUserEntry+it.mqtt.Name != e.Key {
			return item{}, fmt.Errorf("the entry holds another user's record, %s", it.mqtt.Name)
		}
	case strings.HasPrefix(e.Key, tokenEntry):
		it.token, err = decodeToken(e.Value)
		if err == nil && tokenEntry+it.token.ID != e.Key {
			return item{}, fmt.Errorf("the entry holds another token's record, %s", it.token.ID)
		}
	}
	return it, err
}
