package egress

import (
	"net/netip"
	"testing"

	"github.com/gatecast/gatecast"
)

func TestAnAddressIsKnownInEveryNotation(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1": "127.0.0.1", "2130706433": "127.0.0.1", "0177.0.0.1": "127.0.0.1", "0x7f.1": "127.0.0.1", "127.1": "127.0.0.1",
		"0x7f000001": "127.0.0.1", "017700000001": "127.0.0.1", "0x7f.0.0x0.01": "127.0.0.1", "10.1.515": "10.1.2.3", "0": "0.0.0.0",
		"0x": "0.0.0.0", "4294967295": "255.255.255.255", "::1": "::1", "::ffff:10.0.0.1": "::ffff:10.0.0.1",
	} {
		if got, ok := parseAddr(text); !ok || got != netip.MustParseAddr(want) {
			t.Errorf("%q: %v (%v), want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", ".", "4294967296", "256.0.0.1", "127.0.0.256", "1.2.3.4.5", "1..2", "host", "0x7g", "08.0.0.1", "-1", "+1", "1.2.65536",
		"1.16777216", "0x0x1", "1_0", "10.0.0.1.test", "deadbeef", "99999999999999999999",
	} {
		if got, ok := parseAddr(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestAURLIsJudgedWhenItIsChosen(t *testing.T) {
	c := newClient(t, Options{})
	for url, want := range map[string]gatecast.Code{
		"http://127.0.0.1/":              gatecast.Forbidden,
		"http://127.0.0.1./":             gatecast.Forbidden,
		"http://2130706433:80/":          gatecast.Forbidden,
		"http://0177.0.0.1/":             gatecast.Forbidden,
		"http://0X7F.1/":                 gatecast.Forbidden,
		"https://127.1:8443/x":           gatecast.Forbidden,
		"http://[::ffff:10.0.0.1]/":      gatecast.Forbidden,
		"http://[fe80::1%25eth0]/":       gatecast.Forbidden,
		"http://169.254.169.254/latest/": gatecast.Forbidden,
		"http://localhost:9000/":         gatecast.Forbidden,
		"http://LocalHost./":             gatecast.Forbidden,
		"http://api.localhost/":          gatecast.Forbidden,
		"http:///path":                   gatecast.Invalid,
		"http://%zz/":                    gatecast.Invalid,
		"":                               gatecast.Invalid,
	} {
		if err := c.Check(t.Context(), url); err == nil || gatecast.CodeOf(err) != want {
			t.Errorf("%s: %v, want %v", url, err, want)
		}
	}
	for _, url := range []string{"https://host.example/", "http://8.8.8.8/", "http://134744072/", "http://10.0.0.1.example/", "http://localhost.example/"} {
		if err := c.Check(t.Context(), url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, prefix := range []string{"127.0.0.0/8", "::1/128"} {
		c := newClient(t, Options{Allow: []netip.Prefix{netip.MustParsePrefix(prefix)}})
		if err := c.Check(t.Context(), "http://localhost:9000/"); err != nil {
			t.Errorf("localhost, with %s allowed: %v", prefix, err)
		}
	}
}
