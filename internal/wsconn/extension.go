package wsconn

import (
	"errors"
	"strings"
)

// deflateAnswer is what the server agrees to (RFC 7692 section 7.1). Without
// context takeover no connection needs a window of its own, in either
// direction, and a message deflated once serves all.
const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// offer is one extension that the client proposes.
type offer struct {
	name   string
	params []param
}

type param struct {
	name, value string
	hasValue    bool
}

// acceptsDeflate reports whether one of the offers can be met. An offer with
// parameters that are unknown, repeated or malformed is passed over, as
// RFC 7692 section 5 demands.
func acceptsDeflate(offers []offer) bool {
	for _, o := range offers {
		if o.name == "permessage-deflate" && o.acceptable() {
			return true
		}
	}
	return false
}

func (o offer) acceptable() bool {
	seen := make(map[string]bool, len(o.params))
	for _, p := range o.params {
		if seen[p.name] {
			return false
		}
		seen[p.name] = true
		switch p.name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.hasValue {
				return false
			}
		case "client_max_window_bits": // a hint that we need not take up
			if p.hasValue && !windowBits(p.value) {
				return false
			}
		case "server_max_window_bits": // the compressor's window cannot be made smaller
			if p.value != "15" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func windowBits(s string) bool {
	switch s {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}

var errExtensions = errors.New("is malformed")

// parseExtensions reads the header of RFC 6455 section 9.1.
func parseExtensions(values []string) ([]offer, error) {
	var all []offer
	for _, v := range values {
		s := scanner(v)
		for {
			o, err := s.offer()
			if err != nil {
				return nil, err
			}
			all = append(all, o)
			if !s.take(',') {
				break
			}
		}
		if s.space(); s != "" {
			return nil, errExtensions
		}
	}
	return all, nil
}

// scanner is what is left of a header value.
type scanner string

func (s *scanner) space() { *s = scanner(strings.TrimLeft(string(*s), " \t")) }

// take skips white space and reports whether c came next, and skips it too.
func (s *scanner) take(c byte) bool {
	s.space()
	if len(*s) == 0 || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

func (s *scanner) offer() (offer, error) {
	o := offer{name: s.token()}
	if o.name == "" {
		return o, errExtensions
	}
	for s.take(';') {
		p := param{name: s.token()}
		if p.name == "" {
			return o, errExtensions
		}
		if p.hasValue = s.take('='); p.hasValue {
			if p.value = s.value(); p.value == "" {
				return o, errExtensions
			}
		}
		o.params = append(o.params, p)
	}
	return o, nil
}

// token takes a token of RFC 9110 section 5.6.2, "" if there is none.
func (s *scanner) token() string {
	s.space()
	n := 0
	for n < len(*s) && isTokenByte((*s)[n]) {
		n++
	}
	t := string((*s)[:n])
	*s = (*s)[n:]
	return t
}

// value takes a token or a quoted token; RFC 6455 allows nothing else in
// quotes. It returns "" if there is neither.
func (s *scanner) value() string {
	if !s.take('"') {
		return s.token()
	}
	var b strings.Builder
	for i := 0; i < len(*s); i++ {
		c := (*s)[i]
		if c == '"' {
			*s = (*s)[i+1:]
			return b.String()
		}
		if c == '\\' && i+1 < len(*s) {
			i++
			c = (*s)[i]
		}
		if !isTokenByte(c) {
			return ""
		}
		b.WriteByte(c)
	}
	return ""
}

func isTokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// hasToken reports whether a comma-separated header contains token, in
// whatever case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(t, " \t"), token) {
				return true
			}
		}
	}
	return false
}
