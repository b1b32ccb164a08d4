package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	streamName = "GATECAST_EVENTS"
	metaEpoch  = "gatecast-epoch"
)

// serverDedup bounds the embedded server's own dedup memory, which knows no
// limit by count. It only has to cover retries; the long window is ours.
const serverDedup = 30 * time.Second

func (o Options) streamConfig() jetstream.StreamConfig {
	dedup := o.Dedup.Window
	if o.URL == "" {
		dedup = min(dedup, serverDedup)
	}
	return jetstream.StreamConfig{
		Name: streamName, Description: "gatecast events", Subjects: []string{subjectRoot + ">"},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage,
		MaxAge: o.MaxAge, MaxBytes: o.MaxBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1, MaxMsgSize: -1,
		Replicas: o.Replicas, Duplicates: max(dedup, 100*time.Millisecond), AllowDirect: true, AllowAtomicPublish: true,
		DenyDelete: true,
	}
}

// openStream finds or makes the stream and brings its limits up to date. mayCreate
// is false where a stream must exist: making one would bury what is left of it.
func openStream(ctx context.Context, js jetstream.JetStream, o Options, mayCreate bool) (jetstream.Stream, error) {
	cfg := o.streamConfig()
	s, err := js.Stream(ctx, streamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !mayCreate {
			return nil, &gatecast.Error{
				Code: gatecast.Internal, Message: "the journal's events are gone or unreadable, though it once held some",
				Remedy: "restore jetstream/ in the data directory from a backup; or remove the file mark beside it to begin an empty journal",
			}
		}
		cfg.Metadata = map[string]string{metaEpoch: newEpoch()}
		made, failed := js.CreateStream(ctx, cfg)
		if failed == nil {
			return made, nil
		}
		// Another node may have been faster.
		if s, err = js.Stream(ctx, streamName); errors.Is(err, jetstream.ErrStreamNotFound) {
			err = failed
		}
		if err != nil {
			return nil, fmt.Errorf("create the stream: %w", err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the stream: %w", err)
	}
	old := s.CachedInfo().Config
	cfg.Metadata = maps.Clone(old.Metadata)
	if cfg.Metadata[metaEpoch] == "" {
		cfg.Metadata = map[string]string{metaEpoch: newEpoch()}
	}
	if s, err = js.UpdateStream(ctx, cfg); err != nil {
		return nil, fmt.Errorf("update the stream's limits: %w", err)
	}
	return s, nil
}

// changeEpoch declares cursors into the old epoch void: their Seqs will be
// given to other events.
func changeEpoch(ctx context.Context, js jetstream.JetStream, s jetstream.Stream) (jetstream.Stream, error) {
	cfg := s.CachedInfo().Config
	cfg.Metadata = maps.Clone(cfg.Metadata)
	cfg.Metadata[metaEpoch] = newEpoch()
	s, err := js.UpdateStream(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("change the epoch: %w", err)
	}
	return s, nil
}

func newEpoch() string { return rand.Text()[:16] }

func epochOf(s jetstream.Stream) string { return s.CachedInfo().Config.Metadata[metaEpoch] }
