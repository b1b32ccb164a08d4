package sse

import (
	"bytes"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// reconnect is how long a reader waits before it comes back, unless the server
// stops.
const reconnect = 2 * time.Second

// heartbeat is a comment, which readers ignore.
const heartbeat = ": beat\n\n"

// appendEvent appends e as a whole event of the stream.
func appendEvent(dst []byte, e *gatecast.Event, epoch string, replay bool) []byte {
	dst = appendID(dst, e.Seq)
	dst = append(dst, "event: "...)
	dst = append(dst, e.Kind.String()...)
	dst = append(dst, '\n')
	start := len(dst)
	dst = append(dst, "data: "...)
	text := len(dst)
	dst = senselink.AppendNumbered(dst, e, epoch, replay)
	if bytes.IndexByte(dst[text:], '\n') >= 0 || bytes.IndexByte(dst[text:], '\r') >= 0 { // faster than IndexAny, for every event
		dst = appendData(dst[:start], bytes.Clone(dst[text:]))
	} else {
		dst = append(dst, '\n')
	}
	return append(dst, '\n')
}

// appendData appends text as the lines that a reader puts together again. An
// end of line in it, in any of its three forms, becomes a line feed there: in
// JSON that is space between two tokens and nothing else.
func appendData(dst, text []byte) []byte {
	for {
		end := bytes.IndexAny(text, "\r\n")
		dst = append(dst, "data: "...)
		if end < 0 {
			return append(append(dst, text...), '\n')
		}
		dst = append(append(dst, text[:end]...), '\n')
		if text[end] == '\r' && end+1 < len(text) && text[end+1] == '\n' {
			end++
		}
		text = text[end+1:]
	}
}

// appendID appends the line that moves the reader's Last-Event-ID.
func appendID(dst []byte, pos gatecast.Seq) []byte {
	dst = strconv.AppendUint(append(dst, "id: "...), uint64(pos), 10)
	return append(dst, '\n')
}

// appendPosition appends an event without data: a reader dispatches nothing,
// but keeps its id, and comes back after it.
func appendPosition(dst []byte, pos gatecast.Seq) []byte {
	return append(appendID(dst, pos), '\n')
}

// appendRetry appends how long a reader is to wait before it comes back.
func appendRetry(dst []byte, d time.Duration) []byte {
	dst = strconv.AppendInt(append(dst, "retry: "...), d.Milliseconds(), 10)
	return append(dst, '\n')
}

// appendResumed appends the notice that the stream goes on after a position.
// Its id is that position, so that a reader that is cut off before the first
// event comes back to it. The position is never before the reader's own.
func appendResumed(dst []byte, after, head gatecast.Seq, epoch string) []byte {
	dst = append(appendID(dst, after), "event: resumed\ndata: {\"after\":"...)
	dst = strconv.AppendUint(dst, uint64(after), 10)
	return appendEnd(dst, head, epoch)
}

// appendGap appends the notice that the stream goes on after g.To and not after
// g.From. Its id is g.To. That is before the reader's own position only where
// that one was of another journal, and means nothing here.
func appendGap(dst []byte, g *gatecast.GapNotice, head gatecast.Seq, epoch string) []byte {
	dst = append(appendID(dst, g.To), "event: gap\ndata: {\"from\":"...)
	dst = strconv.AppendUint(dst, uint64(g.From), 10)
	dst = append(dst, `,"to":`...)
	dst = strconv.AppendUint(dst, uint64(g.To), 10)
	dst = append(dst, `,"reason":`...)
	dst, _ = jsontext.AppendQuote(dst, string(g.Reason)) // fails only on what is not UTF-8; a reason is ASCII
	return appendEnd(dst, head, epoch)
}

func appendEnd(dst []byte, head gatecast.Seq, epoch string) []byte {
	dst = append(dst, `,"head":`...)
	dst = strconv.AppendUint(dst, uint64(head), 10)
	dst = append(dst, `,"epoch":`...)
	dst, _ = jsontext.AppendQuote(dst, epoch) // fails only on what is not UTF-8; an epoch is ASCII
	return append(dst, "}\n\n"...)
}
