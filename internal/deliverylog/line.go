package deliverylog

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatecast/gatecast"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A line is bounded by what its fields are cut to.
const (
	maxAnswer = 1 << 10
	maxText   = 512
)

// appendLine appends an attempt and its number as a line. It is written by
// hand: reflection costs four times as much, under a lock.
func appendLine(b []byte, n uint64, a *gatecast.Attempt) []byte {
	b = strconv.AppendUint(append(b, `{"n":`...), n, 10)
	b = a.Time.UTC().AppendFormat(append(b, `,"time":"`...), time.RFC3339Nano)
	b = strconv.AppendUint(append(b, `","seq":`...), uint64(a.Seq), 10)
	b = number(b, `,"events":`, a.Events)
	b = text(b, `,"message":`, a.Message)
	b = number(b, `,"try":`, a.Try)
	b = number(b, `,"status":`, a.Status)
	b = number(b, `,"took_ns":`, int(a.Took))
	b = text(b, `,"outcome":`, string(a.Outcome))
	b = text(b, `,"error":`, a.Error)
	if answer := a.Answer[:min(len(a.Answer), maxAnswer)]; readable(answer) {
		b = quote(append(b, `,"answer":`...), string(answer))
	} else if len(answer) > 0 {
		b = base64.StdEncoding.AppendEncode(append(b, `,"answer_base64":"`...), answer)
		b = append(b, '"')
	}
	if a.Replay {
		b = append(b, `,"replay":true`...)
	}
	return append(b, '}', '\n')
}

func number(b []byte, key string, v int) []byte {
	if v == 0 {
		return b
	}
	return strconv.AppendInt(append(b, key...), int64(v), 10)
}

func text(b []byte, key, v string) []byte {
	if v == "" {
		return b
	}
	return quote(append(b, key...), strings.ToValidUTF8(v[:min(len(v), maxText)], ""))
}

func quote(b []byte, v string) []byte {
	b, err := jsontext.AppendQuote(b, v)
	if err != nil { // not possible: v is valid UTF-8
		return append(b, `""`...)
	}
	return b
}

// readable reports whether an answer can stand in a line as it is. One with
// control characters would be six times as long.
func readable(b []byte) bool {
	if len(b) == 0 || !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}

// record is a line as it is read.
type record struct {
	N       uint64           `json:"n"`
	Time    time.Time        `json:"time"`
	Seq     gatecast.Seq     `json:"seq"`
	Events  int              `json:"events"`
	Message string           `json:"message"`
	Try     int              `json:"try"`
	Status  int              `json:"status"`
	TookNS  int64            `json:"took_ns"`
	Outcome gatecast.Outcome `json:"outcome"`
	Error   string           `json:"error"`
	Replay  bool             `json:"replay"`
	said
}

// said is an answer in one of its two forms.
type said struct {
	Answer       string `json:"answer"`
	AnswerBase64 []byte `json:"answer_base64"`
}

// parse reads a line.
func parse(line []byte) (record, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return record{}, err
	}
	if r.N == 0 {
		return record{}, errors.New("a line without its number")
	}
	return r, nil
}

func (r *record) attempt() gatecast.Attempt {
	answer := r.AnswerBase64
	if r.Answer != "" {
		answer = []byte(r.Answer)
	}
	return gatecast.Attempt{
		Time: r.Time, Seq: r.Seq, Events: r.Events, Message: r.Message, Try: r.Try, Status: r.Status,
		Took: time.Duration(r.TookNS), Outcome: r.Outcome, Error: r.Error, Answer: answer, Replay: r.Replay,
	}
}
