package egress

import (
	"context"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatecast/gatecast"
)

// Check tells, when a URL is chosen, that Post could never connect to it,
// because its host is an address which is not allowed, in any notation, or
// this machine's own name. Its error is then Forbidden, or Invalid if the text
// is no URL. Other names are not looked up: what a name means is judged for
// each connection.
func (c *Client) Check(_ context.Context, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" {
		return &gatecast.Error{
			Code: gatecast.Invalid, Message: "this is not a URL that can be posted to",
			Remedy: `write it like "https://host.example/events"`,
		}
	}
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, section 6.3
		if c.guard.check(netip.IPv6Loopback()) == nil {
			return nil
		}
		return c.guard.check(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	if a, ok := parseAddr(host); ok {
		return c.guard.check(a)
	}
	return nil
}

// parseAddr reads an address in every notation that some resolver takes for
// one: 127.0.0.1, ::1, and those of inet_aton(3), as 2130706433, 0x7f.1 and
// 0177.0.0.1.
func parseAddr(host string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, part := range parts {
		limit := uint64(1) << 8
		shift := 8
		if i == len(parts)-1 { // the last one fills what is left
			shift = 8 * (4 - i)
			limit = 1 << shift
		}
		n, ok := parseNumber(part)
		if !ok || n >= limit {
			return netip.Addr{}, false
		}
		v = v<<shift | n
	}
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), true
}

// parseNumber reads a number as C writes it: decimal, octal after 0,
// hexadecimal after 0x.
func parseNumber(s string) (uint64, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(s, "0x"); ok {
		s, base = hex, 16
		if s == "" {
			return 0, true // some take a bare 0x for zero
		}
	} else if len(s) > 1 && s[0] == '0' {
		base = 8
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}
