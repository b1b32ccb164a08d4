package journal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// wire is a connection of our own to the embedded server, the committer's or a
// run's: the few verbs of the NATS protocol that they need, spoken by the
// goroutine that waits for the answers. A client library has goroutines of its own for writing,
// reading and handing over, and on an idle machine waking each of them costs
// more than the message. It is owned by one goroutine.
//
// The connection is a synchronous pipe. While we write, the server reads in a
// goroutine that waits for nothing of ours; its answers wait, bounded by the
// messages of one commit or by what a run asks for, until we read them.
type wire struct {
	dial func() (net.Conn, error)

	conn  net.Conn // nil before the first use, and after any error
	in    *bufio.Reader
	out   []byte // what is not written yet; written when it passes wireChunk
	body  []byte // of the answer last read
	inbox string // answers go to this subject and a number behind it
	next  uint64 // the next such number; never used twice, so that late answers show
}

// wireChunk is about what the server reads at once.
const wireChunk = 64 << 10

var errNoStream = errors.New("nobody listens where the journal stores")

func newWire(dial func() (net.Conn, error)) *wire {
	return &wire{dial: dial, inbox: "_GC." + rand.Text()[:16] + "."}
}

// begin makes the wire ready for one exchange and returns how it ends: with the
// exchange's error, after which the next one gets a new connection. When ctx
// ends, reading and writing fail.
func (w *wire) begin(ctx context.Context) (end func(error) error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	conn := w.conn
	if conn == nil {
		if conn, err = w.dial(); err != nil {
			return nil, fmt.Errorf("connect to the embedded JetStream: %w", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	end = func(err error) error {
		if !stop() && err == nil {
			w.close() // its deadline has passed, or is about to
		}
		if err != nil {
			w.close()
		}
		w.out = w.out[:0]
		return err
	}
	if w.conn == nil {
		w.conn = conn
		if err := w.greet(); err != nil {
			return nil, end(fmt.Errorf("connect to the embedded JetStream: %w", err))
		}
	}
	return end, nil
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// greet introduces us and subscribes to the answers.
func (w *wire) greet() error {
	w.in = bufio.NewReaderSize(w.conn, 32<<10)
	info, err := w.in.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(info, []byte("INFO ")) {
		return errors.Join(errors.New("no greeting"), err)
	}
	w.out = append(w.out[:0], `CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1,"name":"gatecast journal","lang":"go"}`...)
	w.out = append(w.out, "\r\nSUB "+w.inbox+"* 1\r\n"...)
	return w.ping()
}

// keep answers what the server has asked meanwhile, which would else take us
// for dead, and finds out whether it still listens.
func (w *wire) keep(ctx context.Context) error {
	end, err := w.begin(ctx)
	if err != nil {
		return err
	}
	return end(w.ping())
}

func (w *wire) ping() error {
	w.out = append(w.out, "PING\r\n"...)
	if err := w.flush(); err != nil {
		return err
	}
	for {
		line, err := w.line()
		if err != nil {
			return err
		}
		if bytes.Equal(line, []byte("PONG")) {
			return nil
		}
		if _, err := w.answer(line); err != nil && !errors.Is(err, errNoStream) {
			return err
		}
	}
}

// publish adds a message to what is written next. header lacks its last, empty
// line, so that more can stand behind it in extra. reply is zero for none.
func (w *wire) publish(subject, header, extra, data []byte, reply uint64) error {
	size := len(header) + len(extra) + 2
	w.out = append(append(w.out, "HPUB "...), subject...)
	if reply > 0 {
		w.out = append(append(w.out, ' '), w.inbox...)
		w.out = strconv.AppendUint(w.out, reply, 10)
	}
	w.out = strconv.AppendInt(append(w.out, ' '), int64(size), 10)
	w.out = strconv.AppendInt(append(w.out, ' '), int64(size+len(data)), 10)
	w.out = append(append(append(w.out, "\r\n"...), header...), extra...)
	w.out = append(append(append(w.out, "\r\n"...), data...), "\r\n"...)
	if len(w.out) < wireChunk {
		return nil
	}
	return w.flush()
}

func (w *wire) flush() error {
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	if cap(w.out) > 4*wireChunk { // one huge event is not paid for ever
		w.out = nil
	}
	return err
}

// reply takes a number that an answer will bear.
func (w *wire) reply() uint64 {
	w.next++
	return w.next
}

// read returns the next answer: its number, and its body, which is good until
// the next read.
func (w *wire) read() (number uint64, body []byte, err error) {
	for {
		line, err := w.line()
		if err != nil {
			return 0, nil, err
		}
		number, err := w.answer(line)
		if err != nil || number > 0 {
			return number, w.body, err
		}
	}
}

func (w *wire) line() ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// answer takes in what a line begins. number is zero if it is no answer.
func (w *wire) answer(line []byte) (number uint64, err error) {
	verb, rest, _ := bytes.Cut(line, []byte(" "))
	switch string(verb) {
	case "MSG", "HMSG":
		return w.message(string(verb) == "HMSG", rest)
	case "PING":
		_, err = w.conn.Write([]byte("PONG\r\n"))
	case "PONG", "INFO", "+OK":
	default:
		err = fmt.Errorf("the embedded server says %q", line)
	}
	return 0, err
}

// message reads the rest of "subject sid [reply] [header size] size" and what
// follows. An answer with headers says that nobody listens.
func (w *wire) message(headers bool, args []byte) (uint64, error) {
	subject, _, _ := bytes.Cut(args, []byte(" "))
	size, err := strconv.Atoi(string(args[bytes.LastIndexByte(args, ' ')+1:]))
	if err != nil || size < 0 || size > maxPayload {
		return 0, fmt.Errorf("the embedded server announces a message of %q", args)
	}
	tail, ours := strings.CutPrefix(string(subject), w.inbox)
	number, err := strconv.ParseUint(tail, 10, 64)
	if err != nil || !ours {
		return 0, fmt.Errorf("an answer to nothing: %q", subject)
	}
	if cap(w.body) < size+2 {
		w.body = make([]byte, size+2)
	}
	if _, err := io.ReadFull(w.in, w.body[:size+2]); err != nil {
		return 0, err
	}
	w.body = w.body[:size]
	if headers {
		return number, errNoStream
	}
	return number, nil
}

// message is the first line of one with headers.
type message struct {
	subject, reply []byte // reply may be empty
	header, size   int    // bytes; size includes the header
}

// parseMessage reads "subject sid [reply] header size".
func parseMessage(args []byte) (m message, err error) {
	var fields [5][]byte
	n := 0
	for f := range bytes.SplitSeq(args, []byte(" ")) {
		if n == len(fields) {
			n = 0
			break
		}
		fields[n] = f
		n++
	}
	if n < 4 {
		return m, fmt.Errorf("the embedded server announces a message of %q", args)
	}
	m.subject = fields[0]
	if n == 5 {
		m.reply = fields[2]
	}
	var errs [2]error
	m.header, errs[0] = strconv.Atoi(string(fields[n-2]))
	m.size, errs[1] = strconv.Atoi(string(fields[n-1]))
	if errs[0] != nil || errs[1] != nil || m.header < 0 || m.header > m.size || m.size > maxPayload {
		return m, fmt.Errorf("the embedded server announces a message of %q", args)
	}
	return m, nil
}

// fill reads what follows a message's first line.
func (w *wire) fill(header, data []byte) error {
	var end [2]byte
	for _, b := range [...][]byte{header, data, end[:]} {
		if _, err := io.ReadFull(w.in, b); err != nil {
			return err
		}
	}
	return nil
}

// request sends a message without headers; reply is zero for none.
func (w *wire) request(subject string, body []byte, reply uint64) error {
	w.out = append(append(w.out, "PUB "...), subject...)
	if reply > 0 {
		w.out = append(append(w.out, ' '), w.inbox...)
		w.out = strconv.AppendUint(w.out, reply, 10)
	}
	w.out = strconv.AppendInt(append(w.out, ' '), int64(len(body)), 10)
	w.out = append(append(append(w.out, "\r\n"...), body...), "\r\n"...)
	return w.flush()
}
