// Package resume decides where a reader begins.
//
// It owns what a client may ask for in its URL, beyond the vendor's protocol,
// and the rule by which a wish and the state of the journal become a position
// and, where something is lost, a notice of it. It never reads events and
// keeps no state. Start at [Parse] and [Begin].
package resume

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// Request is what a client asks for by the parameters of its URL. The zero
// value asks for nothing, as a client of the vendor's protocol does.
type Request struct {
	OptedIn  bool            // there was at least one of the parameters below
	Since    Since           // since and epoch
	Client   string          // client: the name under which the server keeps its cursor
	Seq      bool            // seq: number the pushes; implied by ack
	Ack      bool            // ack=manual: it confirms by messages of its own
	InFlight int             // inflight: events sent and not yet acknowledged, at most; 0 if not given
	Filter   gatecast.Filter // kinds, sn, group: narrows what the app may see
}

// Narrow reports whether the request leaves out events that the app may see.
func (r *Request) Narrow() bool {
	return len(r.Filter.Kinds)+len(r.Filter.Devices)+len(r.Filter.Groups) > 0
}

// Limits of the parameters. More is refused, so that one URL cannot make the
// work of every event long.
const (
	MaxClient   = 64     // bytes of a client's name
	MaxDevices  = 256    // sn parameters
	MaxGroups   = 256    // group parameters
	MaxInFlight = 65_536 // inflight
	maxDevice   = 128    // bytes of an sn
	maxEpoch    = 64     // bytes of an epoch
)

// Parse reads the parameters out of a URL's query. Parameters not named here
// are left alone: old clients send what they like. An error is Invalid, names
// the parameter, and says what may stand there.
func Parse(q url.Values) (Request, error) {
	var r Request
	for _, p := range []struct {
		name string
		many bool
		read func(*Request, string) error
	}{
		{"since", false, readSince},
		{"epoch", false, readEpoch},
		{"client", false, readClient},
		{"seq", false, readSeq},
		{"ack", false, readAck},
		{"inflight", false, readInFlight},
		{"kinds", true, readKinds},
		{"sn", true, readDevice},
		{"group", true, readGroup},
	} {
		values, there := q[p.name]
		if !there {
			continue
		}
		r.OptedIn = true
		if len(values) > 1 && !p.many {
			return Request{}, invalid(p.name, strings.Join(values, ", "), "one value", "the parameter stands there more than once")
		}
		for _, v := range values {
			if err := p.read(&r, v); err != nil {
				return Request{}, err
			}
		}
	}
	return r, r.agree()
}

// agree checks what the parameters say together.
func (r *Request) agree() error {
	switch {
	case r.Since.Epoch != "" && r.Since.Kind != AfterSeq:
		return invalid("epoch", r.Since.Epoch, "since=SEQ with it", "an epoch without a position means nothing")
	case r.InFlight > 0 && !r.Ack:
		return invalid("inflight", strconv.Itoa(r.InFlight), "ack=manual with it", "only a client that acknowledges has events in flight")
	}
	r.Seq = r.Seq || r.Ack
	return nil
}

func readSince(r *Request, v string) (err error) {
	epoch := r.Since.Epoch
	r.Since, err = ParseSince(v)
	r.Since.Epoch = epoch
	return err
}

func readEpoch(r *Request, v string) error {
	if v == "" || len(v) > maxEpoch {
		return invalid("epoch", v, "the epoch that came with the position", "this is not an epoch")
	}
	r.Since.Epoch = v
	return nil
}

func readClient(r *Request, v string) error {
	if !ValidClient(v) {
		return invalid("client", v, "1 to 64 letters, digits, '.', '_' or '-'", "this is not a client's name")
	}
	r.Client = v
	return nil
}

// ValidClient reports whether a client may call itself by name.
func ValidClient(name string) bool {
	foreign := func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("._-", c)
	}
	return name != "" && len(name) <= MaxClient && !strings.ContainsFunc(name, foreign)
}

func readSeq(r *Request, v string) error {
	on, err := strconv.ParseBool(v)
	if err != nil {
		return invalid("seq", v, "1 or 0", "this is neither yes nor no")
	}
	r.Seq = on
	return nil
}

func readAck(r *Request, v string) error {
	if v != "manual" && v != "auto" {
		return invalid("ack", v, "manual or auto", "there is no such way to acknowledge")
	}
	r.Ack = v == "manual"
	return nil
}

func readInFlight(r *Request, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > MaxInFlight {
		return invalid("inflight", v, "1 to "+strconv.Itoa(MaxInFlight), "the number of events in flight is out of range")
	}
	r.InFlight = n
	return nil
}

func readKinds(r *Request, v string) error {
	known := append(gatecast.Kinds(), gatecast.Notice, gatecast.Canary)
	for name := range strings.SplitSeq(v, ",") {
		n, err := strconv.Atoi(name)
		kind := gatecast.Kind(n)
		if err != nil {
			i := slices.IndexFunc(known, func(k gatecast.Kind) bool { return k.String() == name })
			if i >= 0 {
				kind = known[i]
			}
		}
		if !slices.Contains(known, kind) {
			return invalid("kinds", name, "30000 (record), 30100 (alarm), 50000 (notice) or 50001 (canary), several with commas", "there is no such kind of event")
		}
		if !slices.Contains(r.Filter.Kinds, kind) {
			r.Filter.Kinds = append(r.Filter.Kinds, kind)
		}
	}
	return nil
}

func readDevice(r *Request, v string) error {
	switch {
	case v == "" || len(v) > maxDevice:
		return invalid("sn", v, "the LDID of a device, 1 to 128 bytes", "this is not an LDID")
	case slices.Contains(r.Filter.Devices, v):
		return nil
	case len(r.Filter.Devices) == MaxDevices:
		return invalid("sn", v, strconv.Itoa(MaxDevices)+" devices at most", "there are too many devices")
	}
	r.Filter.Devices = append(r.Filter.Devices, v)
	return nil
}

func readGroup(r *Request, v string) error {
	id, err := strconv.ParseInt(v, 10, 64)
	switch {
	case err != nil:
		return invalid("group", v, "the number of a group", "this is not a group's ID")
	case slices.Contains(r.Filter.Groups, id):
		return nil
	case len(r.Filter.Groups) == MaxGroups:
		return invalid("group", v, strconv.Itoa(MaxGroups)+" groups at most", "there are too many groups")
	}
	r.Filter.Groups = append(r.Filter.Groups, id)
	return nil
}

// Since is where a client wants to begin.
type Since struct {
	Kind  SinceKind
	Seq   gatecast.Seq // for AfterSeq
	Epoch string       // for AfterSeq: the journal that Seq is a place in; empty means this one
	Time  time.Time    // for AtTime
}

// SinceKind is the form of a Since.
type SinceKind int

// The forms there are.
const (
	Unsaid   SinceKind = iota // nothing was asked for
	Latest                    // what is accepted from now on
	Earliest                  // everything there is
	AfterSeq                  // what comes after a position
	AtTime                    // what was accepted at a time or later
)

// ParseSince reads "latest", "earliest", a position, or a time by RFC 3339. Its
// error is Invalid and names since.
func ParseSince(v string) (Since, error) {
	switch v {
	case "latest":
		return Since{Kind: Latest}, nil
	case "earliest":
		return Since{Kind: Earliest}, nil
	}
	if n, err := strconv.ParseUint(v, 10, 64); err == nil {
		return Since{Kind: AfterSeq, Seq: gatecast.Seq(n)}, nil
	}
	// An unescaped "+" of a zone has become a space in a query.
	if t, err := time.Parse(time.RFC3339, strings.Replace(v, " ", "+", 1)); err == nil {
		return Since{Kind: AtTime, Time: t}, nil
	}
	return Since{}, invalid("since", v, "a position, a time such as 2026-11-24T09:00:00Z, earliest or latest", "this is no place to begin")
}

func invalid(name, found, expected, message string) error {
	if len(found) > 80 {
		found = strings.ToValidUTF8(found[:80], "") + "…"
	}
	return &gatecast.Error{
		Code:    gatecast.Invalid,
		Message: "parameter " + name + " is " + strconv.Quote(found) + ": " + message,
		Remedy:  "give " + expected,
		At:      &gatecast.Place{Index: -1, Path: name, Found: found, Expected: expected},
	}
}
