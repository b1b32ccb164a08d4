package egress

import (
	"fmt"
	"log/slog"
	"net/netip"
	"syscall"

	"code.dny.dev/ssrf"
	"github.com/gatecast/gatecast"
)

// guard decides which addresses may be connected to. It is asked with the
// address itself, after every look-up of a name and for every connection: what
// a name meant a moment ago says nothing.
type guard struct {
	rules *ssrf.Guardian
	log   *slog.Logger
}

// newGuard makes a guard that lets out to public addresses and to those
// allowed. Its error is Invalid.
func newGuard(allow []netip.Prefix, log *slog.Logger) (*guard, error) {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if !p.IsValid() {
			return nil, gatecast.Errorf(gatecast.Invalid, "an allowed prefix is not one")
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 { // ::ffff:10.0.0.0/104 is 10.0.0.0/8
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return &guard{
		rules: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...)),
		log:   log,
	}, nil
}

// control is for [net.Dialer]: it is called with the address that a socket is
// about to be connected to.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || (network != "tcp4" && network != "tcp6") {
		return gatecast.Errorf(gatecast.Forbidden, "%s over %s is not an address of TCP", address, network)
	}
	if err := g.check(to.Addr()); err != nil {
		g.log.Debug("a connection was refused", "to", address, "err", err)
		return err
	}
	return nil
}

// check returns a Forbidden error if an address may not be connected to.
func (g *guard) check(a netip.Addr) error {
	// The rules take an address as it is written. The kernel does not: it
	// connects ::ffff:127.0.0.1 to 127.0.0.1, and a zone changes nothing.
	a = a.WithZone("").Unmap()
	if kind := unthinkable(a); kind != "" {
		return refuse(a, kind, false)
	}
	if g.rules.SafeAddr(a) != nil {
		return refuse(a, kindOf(a), true)
	}
	if inner, ok := embedded(a); ok { // allowed, but to where does it lead?
		return g.check(inner)
	}
	return nil
}

// unthinkable says what an address is that no setting opens, or "". What
// listens there are machines that hand out credentials, or nobody at all.
func unthinkable(a netip.Addr) string {
	for _, m := range metadata {
		if a == m {
			return "metadata"
		}
	}
	switch {
	case a.IsLinkLocalUnicast():
		return "link-local"
	case a.IsMulticast() || a == broadcast:
		return "multicast"
	case a.IsUnspecified() || zeroNet.Contains(a): // the kernel takes 0.0.0.0 for this machine
		return "unspecified"
	}
	return ""
}

// metadata is where clouds tell a machine its credentials, or run an agent
// that trusts whoever asks. Most are link-local too; 168.63.129.16 is even
// public.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // nearly all of them
	netip.MustParseAddr("169.254.170.2"),   // AWS, of containers
	netip.MustParseAddr("169.254.170.23"),  // the same
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd00:ec2::23"),    // AWS, of containers
	netip.MustParseAddr("fd20:ce::254"),    // Google
	netip.MustParseAddr("100.100.100.200"), // Alibaba
	netip.MustParseAddr("192.0.0.192"),     // Oracle
	netip.MustParseAddr("168.63.129.16"),   // Azure
}

var (
	broadcast = netip.MustParseAddr("255.255.255.255")
	zeroNet   = netip.MustParsePrefix("0.0.0.0/8")
	shared    = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598
	nat64     = netip.MustParsePrefix("64:ff9b::/96")  // RFC 6052
	sixToFour = netip.MustParsePrefix("2002::/16")     // RFC 3056
	compat    = netip.MustParsePrefix("::/96")         // RFC 4291, section 2.5.5.1
)

// embedded returns the IPv4 address inside of an IPv6 address that stands for
// it, and whether there is one.
func embedded(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	switch {
	case !a.Is6() || a.IsLoopback():
		return netip.Addr{}, false
	case nat64.Contains(a) || compat.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// kindOf says what a refused address is.
func kindOf(a netip.Addr) string {
	switch {
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate() || shared.Contains(a):
		return "private"
	}
	return "reserved"
}

// network returns the network that an operator would most likely allow for an
// address: the machine itself, or the address's own neighbourhood.
func network(a netip.Addr) string {
	bits := a.BitLen() - 8
	switch {
	case a.IsLoopback() && a.Is4():
		bits = 8
	case a.IsLoopback():
		bits = 128
	case a.Is6():
		bits = 64
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}

// refusal is the part of a refused address's error that [Reason] reads.
type refusal struct {
	addr netip.Addr
	open bool // a setting could allow it
}

func (r *refusal) Error() string { return fmt.Sprintf("a connection to %s is not allowed", r.addr) }

func refuse(a netip.Addr, kind string, open bool) error {
	article := "a"
	if kind == "unspecified" {
		article = "an"
	}
	remedy := "no setting allows it; use the address of a server"
	if open {
		remedy = "if events may go there, allow its network in the server's settings and start it again: gatecast serve --hooks.allow " + network(a)
	}
	return &gatecast.Error{
		Code: gatecast.Forbidden, Message: fmt.Sprintf("%s is %s %s address", a, article, kind), Remedy: remedy,
		Cause: &refusal{a, open},
	}
}
