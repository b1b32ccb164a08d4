package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/gatecast/gatecast"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Journal is the durable log on JetStream. All methods may be used by many
// goroutines at once.
type Journal struct {
	opts    Options
	remote  bool
	link    link
	stream  jetstream.Stream
	epoch   string
	fetch   fetcher
	tail    *tail
	queue   *queue
	holes   *holes
	health  *health
	metrics *meters
	life
}

// link is what Open has to release again.
type link struct {
	lock   *os.File       // nil if remote
	srv    *server.Server // nil if remote
	nc     *nats.Conn
	js     jetstream.JetStream
	mark   *mark // nil if remote
	runs   *runs // nil if remote
	closed chan struct{}
}

// life ends the goroutines, in order.
type life struct {
	committing sync.WaitGroup
	watching   sync.WaitGroup
	quitWrite  context.CancelFunc // ends attempts without an answer
	quitWatch  context.CancelFunc
	closing    chan struct{} // ends readers
	once       sync.Once
}

// Open opens or makes the journal and checks its newest events. The context
// bounds opening only. An unreadable journal is an error, never an empty one.
func Open(ctx context.Context, o Options) (*Journal, error) {
	o = o.withDefaults()
	if (o.Dir == "") == (o.URL == "") {
		return nil, gatecast.Errorf(gatecast.Invalid, "the journal needs either a data directory or a NATS URL")
	}
	l, err := connect(ctx, o)
	if err != nil {
		return nil, errors.Join(err, l.release(ctx))
	}
	j, err := assemble(ctx, o, l)
	if err != nil {
		return nil, errors.Join(err, l.release(ctx))
	}
	return j, nil
}

// connect acquires what lies below; on an error the caller releases l.
func connect(ctx context.Context, o Options) (l link, err error) {
	if o.URL != "" {
		l.nc, err = dialCluster(o)
	} else {
		if l.lock, err = lockDir(o.Dir); err != nil {
			return l, err
		}
		if l.srv, err = startServer(ctx, o); err != nil {
			return l, err
		}
		l.runs = newRuns(l.srv.InProcessConn, o.Log)
		l.nc, err = dialEmbedded(l.srv, o.Log)
	}
	if err != nil {
		return l, err
	}
	closed := make(chan struct{})
	l.closed = closed
	l.nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if l.js, err = jetstream.New(l.nc); err != nil {
		return l, fmt.Errorf("use JetStream: %w", err)
	}
	return l, nil
}

// store returns the committer's way into the stream.
func (l link) store() store {
	if l.srv == nil {
		return &clusterStore{l.nc}
	}
	return &pipeStore{wire: newWire(l.srv.InProcessConn)}
}

// release gives up everything, top down; it is safe on a half-made link.
func (l link) release(ctx context.Context) error {
	var errs []error
	l.runs.close()
	if l.closed != nil {
		if l.nc.Drain() != nil {
			l.nc.Close()
		}
		select {
		case <-l.closed:
		case <-ctx.Done():
			l.nc.Close()
		}
	}
	if l.srv != nil {
		l.srv.Shutdown()
		l.srv.WaitForShutdown()
	}
	errs = append(errs, l.mark.close())
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}

// assemble builds the journal over a link and starts its goroutines.
func assemble(ctx context.Context, o Options, l link) (*Journal, error) {
	j := &Journal{opts: o, remote: o.URL != "", link: l, fetch: fetcher{l.nc}, metrics: newMeters()}
	var err error
	if j.holes, err = openHoles(o.Dir, o.Log); err != nil {
		return nil, err
	}
	if err := j.openStream(ctx); err != nil {
		return nil, errors.Join(err, j.link.mark.close())
	}
	info := j.stream.CachedInfo().State
	last := gatecast.Seq(info.LastSeq)
	j.tail = newTail(last, o.Check.Ring, o.Check.Bytes)
	j.queue = newQueue(o.Commit)
	j.health = newHealth(j)
	j.closing = make(chan struct{})
	c := &committer{
		queue: j.queue, store: l.store(), fetch: j.fetch, opts: o.Commit, log: o.Log, meter: j.metrics,
		tail: j.tail, index: newIndex(o.Dedup), indexed: last, mark: j.link.mark, pace: newPace(),
	}
	if l.srv != nil {
		c.sound = j.health.sound
	}
	if err := j.checkTail(ctx, c.index, info); err != nil {
		return nil, errors.Join(err, j.link.mark.close())
	}
	j.metrics.watch(j)
	j.start(c)
	return j, nil
}

func (j *Journal) start(c *committer) {
	write, quitWrite := context.WithCancel(context.Background())
	watch, quitWatch := context.WithCancel(context.Background())
	j.quitWrite, j.quitWatch = quitWrite, quitWatch
	j.health.poll(watch)
	j.committing.Go(func() { c.run(write) })
	j.watching.Go(func() { j.health.run(watch) })
	if j.opts.Check.Scrub > 0 {
		j.watching.Go(func() { j.scrub(watch) })
	}
	if j.remote {
		j.watching.Go(func() { j.watch(watch) })
	} else {
		j.watching.Go(func() { j.link.runs.tidy(watch) })
	}
}

// Close stops accepting, commits what waits, ends readers, and gives up the
// data directory. When ctx ends first, what still waits is answered Unavailable.
func (j *Journal) Close(ctx context.Context) error {
	var err error
	j.once.Do(func() { err = j.close(ctx) })
	return err
}

func (j *Journal) close(ctx context.Context) error {
	j.queue.close()
	written := make(chan struct{})
	go func() {
		j.committing.Wait()
		close(written)
	}()
	select {
	case <-written:
	case <-ctx.Done():
		j.quitWrite()
		<-written
	}
	j.quitWrite()
	close(j.closing)
	j.quitWatch()
	j.watching.Wait()
	if err := j.lastMark(ctx); err != nil {
		j.opts.Log.Warn("the high-water mark may be a little behind", "err", err)
	}
	return j.link.release(ctx)
}

// lastMark writes where the journal begins and ends at the moment of closing.
func (j *Journal) lastMark(ctx context.Context) error {
	if j.remote {
		return nil
	}
	info, err := j.info(ctx)
	if err != nil {
		return err
	}
	j.link.mark.see(info.State.FirstSeq)
	last, _ := j.tail.end()
	return j.link.mark.set(last)
}

// Extent returns what the journal holds at this moment.
func (j *Journal) Extent(ctx context.Context) (gatecast.Extent, error) {
	info, err := j.info(ctx)
	if err != nil {
		return gatecast.Extent{}, err
	}
	s := info.State
	last, _ := j.tail.end()
	if j.remote {
		last = max(last, gatecast.Seq(s.LastSeq))
	}
	first := gatecast.Seq(s.FirstSeq)
	if s.Msgs == 0 || first == 0 {
		first = min(last, gatecast.Seq(s.LastSeq)) + 1 // last may have grown since
	}
	return gatecast.Extent{Epoch: j.epoch, First: first, Last: last, Events: s.Msgs, Bytes: s.Bytes}, nil
}

func (j *Journal) info(ctx context.Context) (*jetstream.StreamInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	s, err := j.link.js.Stream(bounded, streamName)
	if err != nil {
		return nil, unavailable(ctx, "the journal's state cannot be read at the moment", err)
	}
	j.link.mark.see(s.CachedInfo().State.FirstSeq)
	return s.CachedInfo(), nil
}

// JetStream is the handle under the journal, for settings kept beside it. It
// works until Close.
func (j *Journal) JetStream() jetstream.JetStream { return j.link.js }

// Healthy returns nil, or why the journal cannot do all it should: JetStream,
// the disk, or a hole that nobody has accepted yet. The answer is as old as
// Check.Every at most, and costs nothing.
func (j *Journal) Healthy() error {
	if err := j.health.now(); err != nil {
		return err
	}
	n, first := j.holes.open()
	if n == 0 {
		return nil
	}
	return &gatecast.Error{
		Code:    gatecast.Internal,
		Message: fmt.Sprintf("the journal has %d holes, the first from %d to %d: %s", n, first.From, first.To, first.What),
		Remedy:  holeRemedy,
	}
}

// Ready is Healthy without the holes: whether events can be stored and read now.
func (j *Journal) Ready() error { return j.health.now() }

// Holes lists what is known to be lost, also in earlier epochs.
func (j *Journal) Holes() []Hole { return j.holes.all() }

// AcceptHoles takes note of all known holes, so that Healthy no longer reports
// them. They stay listed.
func (j *Journal) AcceptHoles() error { return j.holes.accept() }

// Metrics returns the journal's collectors, to be registered once.
func (j *Journal) Metrics() []prometheus.Collector { return j.metrics.all() }
