package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// runBytes bounds what one request brings. One event alone is never larger.
const runBytes = maxPayload

// errBreak says that the stream does not simply go on.
var errBreak = errors.New("the run of events breaks off")

// run reads events one behind the other: it stands in the stream, as a consumer
// of the embedded server that JetStream keeps in memory, and what it hands out
// goes on where it last stopped. A direct get, in comparison, finds its place
// anew for each page and dresses up each message with headers, which costs more
// than everything else about it.
//
// A run knows sound events in a row and nothing else. Whatever is in the way,
// damage, a hole, retention, a server that does not answer, ends it, and the
// journal's direct gets find out what it is. It is owned by one goroutine at a time.
type run struct {
	wire    *wire
	decoder decoder
	name    string           // of the consumer
	at      gatecast.Seq     // of the event read last
	last    []gatecast.Event // the page handed out last, up to the position
	asked   uint64           // number of the request that is being answered
	left    int              // events it may still bring
	used    time.Time        // when it was last put down
	header  []byte
}

// begin places a run behind a position.
func (r *run) begin(ctx context.Context, after gatecast.Seq) error {
	end, err := r.wire.begin(ctx)
	if err != nil {
		return err
	}
	r.at = after
	r.name = "replay-" + strings.Trim(strings.TrimPrefix(r.wire.inbox, "_GC."), ".")
	return end(r.create())
}

// create makes the consumer. Should it ever be left behind, JetStream removes
// it by itself.
func (r *run) create() error {
	body := fmt.Appendf(nil, `{"stream_name":%q,"config":{"name":%q,"deliver_policy":"by_start_sequence","opt_start_seq":%d,`+
		`"ack_policy":"none","replay_policy":"instant","mem_storage":true,"num_replicas":1,"inactive_threshold":%d}}`,
		streamName, r.name, r.at+1, 10*runIdle)
	number := r.wire.reply()
	if err := r.wire.request("$JS.API.CONSUMER.CREATE."+streamName+"."+r.name, body, number); err != nil {
		return err
	}
	for {
		got, answer, err := r.wire.read()
		if err != nil {
			return err
		}
		if got != number {
			continue
		}
		if bytes.Contains(answer, []byte(`"error":`)) {
			return fmt.Errorf("make a consumer: %s", answer)
		}
		return nil
	}
}

// page returns up to n events that follow the run's position, none beyond last.
// With an error, which ends the run, there may be events nevertheless.
func (r *run) page(ctx context.Context, last gatecast.Seq, n int) ([]gatecast.Event, error) {
	end, err := r.wire.begin(ctx)
	if err != nil {
		return nil, err
	}
	r.last, err = r.read(last, n)
	return r.last, end(err)
}

// covers reports whether a reader behind from can go on here.
func (r *run) covers(from gatecast.Seq) bool {
	return from <= r.at && r.at-from <= gatecast.Seq(len(r.last))
}

// again returns up to n events of the last page that follow from, or none. A
// reader whose socket took half a page comes back for the other half.
func (r *run) again(from gatecast.Seq, n int) []gatecast.Event {
	if from >= r.at || !r.covers(from) {
		return nil
	}
	rest := r.last[len(r.last)-int(r.at-from):]
	n = min(n, len(rest))
	return rest[:n:n]
}

// read asks for two pages at once, and again as soon as it has read them: the
// server is busy with the next ones while the caller is with these.
func (r *run) read(last gatecast.Seq, n int) ([]gatecast.Event, error) {
	if err := r.ask(last, 2*n); err != nil {
		return nil, err
	}
	events := make([]gatecast.Event, 0, min(n, int(last-r.at)))
	for size := 0; r.left > 0 && len(events) < n && size < fetchBytes; {
		events = append(events, gatecast.Event{Seq: r.at + 1})
		e := &events[len(events)-1]
		ok, err := r.next(e)
		size += len(e.Data) + overhead
		if err != nil || !ok {
			events = events[:len(events)-1]
		}
		if err != nil {
			return events, err
		}
	}
	if len(events) == 0 {
		return nil, errBreak
	}
	return events, r.ask(last, 2*n)
}

// ask requests up to n events unless some are on their way. It is what keeps a
// run from showing more than is committed: none beyond last is asked for, and
// what comes goes up in steps of one. A request that cannot be met, though what
// it asks for was in the stream, ends at once.
func (r *run) ask(last gatecast.Seq, n int) error {
	if r.left > 0 || r.at >= last {
		return nil
	}
	r.left = min(n, int(last-r.at))
	r.asked = r.wire.reply()
	body := fmt.Appendf(nil, `{"batch":%d,"max_bytes":%d,"no_wait":true}`, r.left, runBytes)
	return r.wire.request("$JS.API.CONSUMER.MSG.NEXT."+streamName+"."+r.name, body, r.asked)
}

// next reads the event behind the position into e, whose Seq says so already;
// ok is false if something else came.
func (r *run) next(e *gatecast.Event) (ok bool, err error) {
	line, err := r.wire.line()
	if err != nil {
		return false, err
	}
	args, isMessage := bytes.CutPrefix(line, []byte("HMSG "))
	if !isMessage {
		_, err = r.wire.answer(line)
		return false, err
	}
	m, err := parseMessage(args)
	if err != nil {
		return false, err
	}
	seq := r.seq(m.reply) // before what it lies in is read over
	status := r.ends(m.subject)
	if cap(r.header) < m.header {
		r.header = make([]byte, m.header)
	}
	header := r.header[:m.header]
	data := r.decoder.data(m.size - m.header)
	if err := r.wire.fill(header, data); err != nil {
		return false, err
	}
	switch {
	case seq == e.Seq:
		r.at, r.left = seq, r.left-1
		return true, r.decoder.decode(e, header, data)
	case seq == 0 && status:
		r.left = 0 // the request's last word
		return false, nil
	case seq == 0:
		return false, nil // the last word of an older one
	}
	return false, errBreak
}

// seq returns the place that stands in a message's reply subject behind the
// consumer's name and a 1, since each is delivered once; zero if there is none.
func (r *run) seq(reply []byte) gatecast.Seq {
	_, rest, found := bytes.Cut(reply, []byte("."+r.name+".1."))
	if !found {
		return 0
	}
	digits, _, _ := bytes.Cut(rest, []byte("."))
	return gatecast.Seq(number(digits))
}

// ends reports whether a subject is where the answer to our request goes: a
// status does; events bear their own.
func (r *run) ends(subject []byte) bool {
	tail, ours := bytes.CutPrefix(subject, []byte(r.wire.inbox))
	return ours && number(tail) == int64(r.asked)
}

// close gives up the consumer, without waiting for the answer.
func (r *run) close() {
	if r.wire.conn != nil {
		_ = r.wire.conn.SetDeadline(time.Now().Add(time.Second))
		_ = r.wire.request("$JS.API.CONSUMER.DELETE."+streamName+"."+r.name, nil, 0)
	}
	r.wire.close()
}
