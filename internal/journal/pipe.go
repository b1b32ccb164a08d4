package journal

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// pipeStore puts messages into the embedded server's stream. It is owned by
// the committer.
type pipeStore struct {
	wire  *wire
	extra []byte // headers of the message in hand
}

// singles is store.singles.
func (s *pipeStore) singles(ctx context.Context, items []*item) verdict {
	end, err := s.wire.begin(ctx)
	if err != nil {
		return verdict{err: fmt.Errorf("publish: %w", err)}
	}
	v, err := s.sendSingles(items)
	if err = end(err); err != nil {
		return verdict{err: fmt.Errorf("publish: %w", err)}
	}
	return v
}

func (s *pipeStore) sendSingles(items []*item) (worst verdict, err error) {
	first := s.wire.next + 1
	for _, it := range items {
		if err := s.wire.publish(it.draft.subject, it.draft.header, nil, it.event.Data, s.wire.reply()); err != nil {
			return worst, err
		}
	}
	if err := s.wire.flush(); err != nil {
		return worst, err
	}
	for left := len(items); left > 0; {
		number, body, err := s.wire.read()
		if err != nil {
			return worst, err
		}
		if number < first {
			continue // of a try that was given up
		}
		if number-first >= uint64(len(items)) {
			return worst, errors.New("an answer to nothing")
		}
		left--
		if v := accept(items[number-first], body); v.err != nil {
			worst = v
		}
	}
	return worst, nil
}

// batch is store.batch.
func (s *pipeStore) batch(ctx context.Context, items []*item) verdict {
	end, err := s.wire.begin(ctx)
	if err != nil {
		return verdict{err: fmt.Errorf("publish a batch: %w", err)}
	}
	v, err := s.sendBatch(items)
	if err = end(err); err != nil {
		return verdict{err: fmt.Errorf("publish a batch: %w", err)}
	}
	return v
}

func (s *pipeStore) sendBatch(items []*item) (verdict, error) {
	commit := s.wire.reply()
	s.extra = append(append(s.extra[:0], "Nats-Batch-Id: "...), s.wire.inbox...)
	s.extra = strconv.AppendUint(s.extra, commit, 10)
	s.extra = append(s.extra, "\r\nNats-Batch-Sequence: "...)
	same := len(s.extra)
	for i, it := range items {
		s.extra = strconv.AppendInt(s.extra[:same], int64(i+1), 10)
		s.extra = append(s.extra, "\r\n"...)
		reply := uint64(0)
		if i == len(items)-1 {
			s.extra = append(s.extra, "Nats-Batch-Commit: 1\r\n"...)
			reply = commit
		}
		if err := s.wire.publish(it.draft.subject, it.draft.header, s.extra, it.event.Data, reply); err != nil {
			return verdict{}, err
		}
	}
	if err := s.wire.flush(); err != nil {
		return verdict{}, err
	}
	for {
		number, body, err := s.wire.read()
		if err != nil {
			return verdict{}, err
		}
		if number == commit {
			return acceptBatch(items, body), nil
		}
	}
}

// idle is store.idle.
func (s *pipeStore) idle(ctx context.Context) error { return s.wire.keep(ctx) }

func (s *pipeStore) close() { s.wire.close() }
