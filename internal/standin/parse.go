package standin

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// misbehaviourJSON is a Misbehaviour as it stands in a request, its durations
// as text.
type misbehaviourJSON struct {
	Mode Mode   `json:"mode"`
	For  string `json:"for,omitempty"`
	All  bool   `json:"all,omitempty"`
	N    int    `json:"n,omitempty"`
	By   string `json:"by,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// UnmarshalJSON reads {"mode":"restart","for":"5s"}.
func (m *Misbehaviour) UnmarshalJSON(text []byte) error {
	var j misbehaviourJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*m = Misbehaviour{Mode: j.Mode, All: j.All, N: j.N, From: j.From, To: j.To}
	for _, d := range []struct {
		text string
		into *time.Duration
	}{{j.For, &m.For}, {j.By, &m.By}} {
		if d.text == "" {
			continue
		}
		v, err := time.ParseDuration(d.text)
		if err != nil {
			return gatecast.Errorf(gatecast.Invalid, "%q is no duration such as 30s", d.text)
		}
		*d.into = v
	}
	return nil
}

// ParseMisbehaviour reads what stands on a command line: the mode and, each
// after a comma, details by the names that they have in JSON, such as
// "restart,for=5s" or "stall,all=true".
func ParseMisbehaviour(text string) (Misbehaviour, error) {
	mode, rest, more := strings.Cut(text, ",")
	m := Misbehaviour{Mode: Mode(mode)}
	for more {
		var detail string
		detail, rest, more = strings.Cut(rest, ",")
		name, value, ok := strings.Cut(detail, "=")
		var err error
		switch {
		case !ok:
			err = gatecast.Errorf(gatecast.Invalid, "%q is not of the form NAME=VALUE", detail)
		case name == "for":
			m.For, err = time.ParseDuration(value)
		case name == "by":
			m.By, err = time.ParseDuration(value)
		case name == "n":
			m.N, err = strconv.Atoi(value)
		case name == "all":
			m.All, err = strconv.ParseBool(value)
		case name == "from":
			m.From = value
		case name == "to":
			m.To = value
		default:
			err = gatecast.Errorf(gatecast.Invalid, "there is no detail %q", name)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}
