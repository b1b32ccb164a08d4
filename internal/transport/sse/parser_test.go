package sse

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
)

// message is what an EventSource dispatches.
type message struct {
	Type, Data, ID string
}

// parser reads a stream as the WHATWG's HTML standard, section 9.2.6, wants it
// read, and knows nothing of the server.
type parser struct {
	in       *bufio.Reader
	begun    bool
	afterCR  bool
	lastID   string        // the event source's last event ID string
	retry    time.Duration // its reconnection time
	comments int

	data, typ, id string // the buffers
}

func newParser(in io.Reader) *parser { return &parser{in: bufio.NewReader(in)} }

// line returns the next line without its end, which is CR, LF or both. What
// comes after the last end of line is no line.
func (p *parser) line() (string, error) {
	if !p.begun {
		p.begun = true
		if bom, _ := p.in.Peek(3); string(bom) == "\ufeff" {
			_, _ = p.in.Discard(3)
		}
	}
	var line []byte
	for {
		if _, err := p.in.Peek(1); err != nil {
			return "", err
		}
		chunk, _ := p.in.Peek(p.in.Buffered())
		skip := p.afterCR && chunk[0] == '\n'
		p.afterCR = false
		if skip {
			_, _ = p.in.Discard(1)
			continue
		}
		i := bytes.IndexAny(chunk, "\r\n")
		if i < 0 {
			line = append(line, chunk...)
			_, _ = p.in.Discard(len(chunk))
			continue
		}
		line = append(line, chunk[:i]...)
		p.afterCR = chunk[i] == '\r'
		_, _ = p.in.Discard(i + 1)
		return string(line), nil
	}
}

// step interprets one line. It returns a message if the line dispatches one.
func (p *parser) step() (*message, error) {
	line, err := p.line()
	if err != nil {
		return nil, err
	}
	if line == "" {
		return p.dispatch(), nil
	}
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "":
		p.comments++
	case "event":
		p.typ = value
	case "data":
		p.data += value + "\n"
	case "id":
		if !strings.Contains(value, "\x00") {
			p.id = value
		}
	case "retry":
		if n, err := strconv.ParseUint(value, 10, 32); err == nil {
			p.retry = time.Duration(n) * time.Millisecond
		}
	}
	return nil, nil
}

func (p *parser) dispatch() *message {
	p.lastID = p.id
	defer func() { p.data, p.typ = "", "" }()
	if p.data == "" {
		return nil
	}
	m := &message{Type: p.typ, Data: strings.TrimSuffix(p.data, "\n"), ID: p.lastID}
	if m.Type == "" {
		m.Type = "message"
	}
	return m
}

// next returns the next message.
func (p *parser) next() (message, error) {
	for {
		m, err := p.step()
		if err != nil {
			return message{}, err
		}
		if m != nil {
			return *m, nil
		}
	}
}

// clean reports whether a stream that ended with err ended gently.
func clean(err error) bool { return errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) }
