package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/internal/bench/load"
	"github.com/gatecast/gatecast/internal/bench/subject"
	"github.com/gatecast/gatecast/internal/bench/swarm"
)

// Options says what is measured, and how hard. The zero value of a number
// stands for what the targets are defined for.
type Options struct {
	Program string // path of the gatecast binary, for a server and for the bare loop
	Command string // as the user typed it, for the report

	Server string // URL of a server that runs; empty: one is started for each scenario
	Token  string // an administrator's, for that server
	Data   string // where the data of a server started here lie; empty: a temporary directory

	Clients int           // fanout, idle and storm
	Burst   int           // events that are sent at once
	Events  int           // in the journal of a replay
	Size    int           // bytes of a push with its WebSocket header; default load.DefaultSize
	Rate    float64       // events per second of what is sent by a timetable
	For     time.Duration // how long each steady load goes on

	Subscriptions int // of webhooks

	// Progress is told what goes on, in short lines; it may be nil.
	Progress func(scenario, line string)
}

// usual reports whether what is measured is what the targets are defined for.
func (o Options) usual() bool {
	return o.Clients == 0 && o.Burst == 0 && o.Events == 0 && (o.Size == 0 || o.Size == load.DefaultSize) && o.Rate == 0 && o.For == 0 && o.Subscriptions == 0
}

// Scenario is one thing that can be measured.
type Scenario struct {
	Name  string
	Help  string   // one line
	Takes []string // which of the options clients, burst, events, rate, for and subscriptions it heeds
	run   func(ctx context.Context, l *lab) error
}

// Scenarios returns all there are, in the order in which they are run together.
func Scenarios() []Scenario {
	return []Scenario{
		{"fanout", "One event to thousands of clients: one by one, in a burst, and at a steady rate", []string{"clients", "burst", "rate", "for"}, fanout},
		{"growth", "What a delivery costs with 100, 1,000 and 10,000 clients", []string{"clients"}, growth},
		{"doors", "What a delivery costs over TLS and with compression", []string{"clients"}, doors},
		{"idle", "Memory of a connection with nothing to do", []string{"clients", "for"}, idle},
		{"latency", "From the moment an event is due to the client's read", []string{"rate", "for"}, latency},
		{"ingest", "Events stored per second: one sender, many, and batches", []string{"for"}, ingest},
		{"replay", "Catching up from the journal", []string{"events"}, replay},
		{"storm", "Everybody comes back at once after a restart", []string{"clients"}, storm},
		{"hooks", "Webhooks: deliveries per second, across kill -9, and beside dead endpoints", []string{"subscriptions", "burst", "rate", "for"}, hooks},
	}
}

// The sizes of a push, in bytes with its WebSocket header, that can be measured.
const (
	MinSize = load.MinSize
	MaxSize = 200 << 10 // a server whose settings nobody has touched takes events of 256 KiB
)

// Run measures scenarios one after the other. What was found before an error
// is in the report too.
func Run(ctx context.Context, scenarios []Scenario, o Options) (*Report, error) {
	usual := o.usual()
	o.Size = cmp.Or(o.Size, load.DefaultSize)
	r := &Report{Usual: usual, Started: time.Now(), Command: o.Command, Server: cmp.Or(o.Server, "started here")}
	defer func() { r.Seconds = time.Since(r.Started).Seconds() }()
	data, err := os.MkdirTemp(o.Data, "gatecast-bench-")
	if err != nil {
		e := gatecast.Errorf(gatecast.Invalid, "no directory for the server's data: %v", err)
		e.Remedy = "name one that exists and can be written to with --data"
		return r, e
	}
	defer func() { _ = os.RemoveAll(data) }()
	if o.Server == "" {
		r.Machine = describe(data)
	} else {
		r.Machine = describe("") // and its disk is not known
	}
	for _, s := range scenarios {
		l := &lab{opts: o, scenario: s.Name, report: r, data: filepath.Join(data, s.Name)}
		if err := l.measure(ctx, s); err != nil {
			return r, within(s.Name, err)
		}
	}
	return r, nil
}

// within says in which scenario an error happened. Its remedy stays one.
func within(scenario string, err error) error {
	var e *gatecast.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", scenario, err)
	}
	told := *e
	told.Message = scenario + ": " + strings.TrimSuffix(strings.TrimSuffix(err.Error(), e.Error())+e.Message, ": ")
	told.Cause = err
	return &told
}

// lab is where one scenario takes place.
type lab struct {
	opts     Options
	scenario string
	report   *Report
	data     string
	servers  int
	closers  []func() // last first
}

func (l *lab) measure(ctx context.Context, s Scenario) error {
	if err := os.MkdirAll(l.data, 0o700); err != nil {
		return fmt.Errorf("make a data directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(l.data) }()
	defer l.close()
	return s.run(ctx, l)
}

func (l *lab) close() {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
	l.closers = nil
}

func (l *lab) later(f func()) { l.closers = append(l.closers, f) }

// tell reports what goes on.
func (l *lab) tell(format string, args ...any) {
	if l.opts.Progress != nil {
		l.opts.Progress(l.scenario, fmt.Sprintf(format, args...))
	}
}

// found adds a figure to the report. It is judged if what was measured is what
// the target is defined for, and if the figure can be trusted.
func (l *lab) found(f Figure) {
	f.Scenario = l.scenario
	if l.report.Usual && !f.Doubtful {
		f = f.judged()
	}
	l.report.Figures = append(l.report.Figures, f)
}

// attached reports whether somebody else's server is measured: what it has done
// before, and does beside, is in its memory and its CPU time.
func (l *lab) attached() bool { return l.opts.Server != "" }

// sharedNote is said of figures of a server that was there before.
func (l *lab) sharedNote(note string) string {
	if !l.attached() {
		return ""
	}
	return note
}

// volatile reports whether the data lie in memory, where fsync does nothing.
func (l *lab) volatile() bool { return inMemory(l.report.Machine.DataSystem) }

// diskNote is said of figures that mean nothing without a disk.
func (l *lab) diskNote() string {
	if !l.volatile() {
		return ""
	}
	return "the data lie in memory (" + l.report.Machine.DataSystem + "), where fsync does nothing: name a directory on a disk with --data"
}

// server returns the one to measure: with settings if it is started here.
func (l *lab) server(ctx context.Context, o subject.Own) (*subject.Server, error) {
	if l.opts.Server != "" {
		s := subject.Attach(l.opts.Server, l.opts.Token)
		l.later(s.Close)
		return s, nil
	}
	l.servers++
	o.Program, o.Data = l.opts.Program, filepath.Join(l.data, fmt.Sprint(l.servers))
	if err := os.Mkdir(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make a data directory: %w", err)
	}
	s, err := subject.Start(ctx, o)
	if err == nil {
		l.later(s.Close)
	}
	return s, err
}

// files makes sure that so many sockets can be open.
func (l *lab) files(clients int) error { return swarm.Limit(clients + 200) }
