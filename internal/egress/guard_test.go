package egress

import (
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatecast/gatecast"
	"pgregory.net/rapid"
)

// everywhere is an operator who allows all there is.
func everywhere() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
}

func TestNoConnectionIsMadeToAnAddressThatIsNotAllowed(t *testing.T) {
	v4 := serve(t, "127.0.0.1:0", answering(ok))
	resolver := nameServer(t, func(string) []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	})
	c := newClient(t, Options{Resolver: resolver})
	for _, host := range []string{
		"127.0.0.1", "127.0.0.2", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::1]", "0.0.0.0", "[::]",
		"2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1", "localhost", "LOCALHOST.", "a.localhost",
		"inside.test", "127.0.0.1.", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fe80::1%25lo]",
		"169.254.169.254", "169.254.1.1", "[fe80::1]", "100.100.100.200", "[fd00:ec2::254]", "10.0.0.1",
		"172.16.0.1", "192.168.0.1", "100.64.0.1", "[fc00::1]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "240.0.0.1",
	} {
		a := post(t, c, "http://"+host+":"+v4.port()+"/", patience)
		if a.Err == nil {
			t.Errorf("%s: status %d, want to be refused", host, a.Status)
		}
	}
	if n := v4.accepted.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	v6 := serve(t, "[::1]:0", answering(ok))
	for _, host := range []string{"[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "localhost"} {
		post(t, c, "http://"+host+":"+v6.port()+"/", patience)
	}
	if n := v6.accepted.Load(); n != 0 {
		t.Errorf("%d connections were made over IPv6", n)
	}
}

func TestARefusedAddressIsNamedWithItsRemedy(t *testing.T) {
	c := newClient(t, Options{})
	for _, want := range []struct{ url, message, remedy, reason string }{
		{"http://10.1.2.3/", "10.1.2.3 is a private address", "hooks.allow", "the address 10.1.2.3 is not allowed (see hooks.allow)"},
		{"http://[fd12::1]/", "fd12::1 is a private address", "hooks.allow", "the address fd12::1 is not allowed (see hooks.allow)"},
		{"http://127.0.0.1/", "127.0.0.1 is a loopback address", "hooks.allow", "the address 127.0.0.1 is not allowed (see hooks.allow)"},
		{"http://169.254.169.254/", "169.254.169.254 is a metadata address", "no setting", "the address 169.254.169.254 is not allowed"},
		{"http://[fe80::1]/", "fe80::1 is a link-local address", "no setting", "the address fe80::1 is not allowed"},
		{"http://0.0.0.0/", "0.0.0.0 is an unspecified address", "no setting", "the address 0.0.0.0 is not allowed"},
	} {
		a := post(t, c, want.url, patience)
		for from, err := range map[string]error{"Post": a.Err, "Check": c.Check(t.Context(), want.url)} {
			var e *gatecast.Error
			if !errors.As(err, &e) || e.Code != gatecast.Forbidden || e.Message != want.message || !strings.Contains(e.Remedy, want.remedy) {
				t.Errorf("%s %s: %v, want a Forbidden error %q with the remedy %q", from, want.url, err, want.message, want.remedy)
			}
			if got := Reason(err); got != want.reason {
				t.Errorf("%s %s: reason %q, want %q", from, want.url, got, want.reason)
			}
		}
	}
}

func TestWhatTheOperatorAllowsIsLetThrough(t *testing.T) {
	s := serve(t, "127.0.0.1:0", answering(ok))
	for _, prefix := range []string{"127.0.0.1/32", "127.0.0.0/8", "::ffff:127.0.0.0/104", "0.0.0.0/0"} {
		c := newClient(t, Options{Allow: []netip.Prefix{netip.MustParsePrefix(prefix)}})
		if a := post(t, c, s.url(), patience); a.Status != 200 {
			t.Errorf("%s: %v", prefix, a.Err)
		}
		if err := c.Check(t.Context(), s.url()); err != nil {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	if a := post(t, newClient(t, Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}), s.url(), patience); a.Err == nil {
		t.Error("127.0.0.1 is let through, 127.0.0.2 is allowed")
	}
}

func TestNoSettingOpensMetadataLinkLocalMulticastOrUnspecified(t *testing.T) {
	g, err := newGuard(append(everywhere(),
		netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("::ffff:169.254.169.254/128")), quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{
		"169.254.169.254", "::ffff:169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1", "fd00:ec2::254", "100.100.100.200",
		"168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "255.255.255.255", "ff02::1",
		"64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::a9fe:a9fe", "64:ff9b::", "::ffff:0.0.0.0",
	} {
		if g.check(netip.MustParseAddr(a)) == nil {
			t.Errorf("%s is let through", a)
		}
	}
	for _, a := range []string{"10.0.0.1", "127.0.0.1", "::1", "fd12::1", "fd12::1%eth0", "8.8.8.8", "2606:4700::1", "64:ff9b::808:808"} {
		if err := g.check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s, though all is allowed: %v", a, err)
		}
	}
}

func TestPublicAddressesNeedNoSetting(t *testing.T) {
	g, err := newGuard(nil, quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8"} {
		if err := g.check(netip.MustParseAddr(a)); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"64:ff9b::808:808", "2002:808:808::1", "2001::1", "2001:db8::1", "203.0.113.1", "198.18.0.1"} {
		if g.check(netip.MustParseAddr(a)) == nil {
			t.Errorf("%s is let through", a)
		}
	}
}

// An address is judged by where the kernel connects it, however it is written.
func TestAMappedAddressIsJudgedAsTheAddressItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var allow []netip.Prefix
		for range rapid.IntRange(0, 3).Draw(t, "prefixes") {
			a := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "prefix")))
			allow = append(allow, netip.PrefixFrom(a, rapid.IntRange(0, 32).Draw(t, "bits")))
		}
		g, err := newGuard(allow, quiet())
		if err != nil {
			t.Fatal(err)
		}
		first := rapid.SampledFrom([]byte{0, 8, 10, 100, 127, 169, 172, 192, 198, 224, 240}).Draw(t, "first")
		rest := rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "rest")
		plain := netip.AddrFrom4([4]byte{first, rest[0], rest[1], rest[2]})
		mapped := netip.AddrFrom16(plain.As16())
		if (g.check(plain) == nil) != (g.check(mapped) == nil) {
			t.Fatalf("%v: %v, but %v: %v", plain, g.check(plain), mapped, g.check(mapped))
		}
		inside := false
		for _, p := range allow {
			inside = inside || p.Contains(plain)
		}
		private := plain.IsPrivate() || plain.IsLoopback()
		if private && (g.check(plain) == nil) != inside {
			t.Fatalf("%v with %v: %v", plain, allow, g.check(plain))
		}
	})
}

// A name that meant a public address when somebody looked, and means this
// machine when the connection is made.
func TestANameIsJudgedByWhatItMeansWhenTheConnectionIsMade(t *testing.T) {
	s := serve(t, "127.0.0.1:0", answering(ok))
	var asked atomic.Int64
	resolver := nameServer(t, func(string) []netip.Addr {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	c := newClient(t, Options{Resolver: resolver})
	before, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.test")
	if err != nil || c.guard.check(before[0]) != nil {
		t.Fatalf("the first look must find a public address: %v, %v", before, err)
	}
	url := "http://rebind.test:" + s.port() + "/"
	if err := c.Check(t.Context(), url); err != nil {
		t.Fatalf("a name is not looked up when it is chosen: %v", err)
	}
	a := post(t, c, url, patience)
	if gatecast.CodeOf(a.Err) != gatecast.Forbidden {
		t.Errorf("status %d, error %v, want Forbidden", a.Status, a.Err)
	}
	if n := s.accepted.Load(); n != 0 || asked.Load() != 2 {
		t.Errorf("%d connections after %d questions, want none after 2", n, asked.Load())
	}
}

func TestARedirectIsAnAnswerAndIsNotFollowed(t *testing.T) {
	target := serve(t, "127.0.0.1:0", answering(ok))
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		s := serve(t, "127.0.0.1:0", answering("HTTP/1.1 "+status+" Go\r\nLocation: "+target.url()+"\r\nContent-Length: 0\r\n\r\n"))
		if a := post(t, newClient(t, Options{Allow: loopback()}), s.url(), patience); a.Status < 300 || a.Status > 399 {
			t.Errorf("%s: status %d, error %v", status, a.Status, a.Err)
		}
	}
	if n := target.accepted.Load(); n != 0 {
		t.Errorf("%d connections to where the redirect points", n)
	}
}

func TestTheEnvironmentsProxyIsNotAsked(t *testing.T) {
	resolver := nameServer(t, func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	s := serve(t, "127.0.0.1:0", answering(ok))
	c := newClient(t, Options{Allow: loopback(), Resolver: resolver})
	// By name: no client asks a proxy for a loopback address. See TestMain.
	if a := post(t, c, "http://endpoint.test:"+s.port()+"/", patience); a.Status != 200 {
		t.Error(a.Err)
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("%d connections to the endpoint, want one", n)
	}
}

func TestOnlyTCPIsLetThrough(t *testing.T) {
	g, err := newGuard(everywhere(), quiet())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		network, address string
		ok               bool
	}{
		{"tcp4", "8.8.8.8:80", true},
		{"tcp6", "[2606:4700::1]:80", true},
		{"tcp6", "[::ffff:8.8.8.8]:80", true},
		{"tcp6", "[::ffff:169.254.169.254]:80", false},
		{"udp4", "8.8.8.8:80", false},
		{"unix", "/run/docker.sock", false},
		{"tcp4", "not an address", false},
	} {
		if err := g.control(want.network, want.address, nil); (err == nil) != want.ok {
			t.Errorf("%s %s: %v", want.network, want.address, err)
		}
	}
}

func TestAPrefixThatIsNoneStopsTheStart(t *testing.T) {
	if _, err := New(Options{Allow: []netip.Prefix{{}}}); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("%v, want Invalid", err)
	}
}
