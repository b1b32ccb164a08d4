package senselink

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

const (
	newSecret = "e30af86f8f4e75d128ba4288597dea3c"
	oldSecret = "7ba41f9a8ac98f2c16ee904bc7ea624c"
)

// testNow is the clock of the tests of Verify.
var testNow = time.UnixMilli(1763350834090)

func testApp() *gatecast.App {
	return &gatecast.App{
		Key: "0123456789abcdef", Enabled: true, Window: gatecast.DefaultWindow,
		Secrets: []gatecast.Secret{
			{Value: newSecret},
			{Value: oldSecret, Expires: testNow.Add(time.Hour)},
		},
	}
}

func signed(ts, secret string) Credentials {
	return Credentials{AppKey: "0123456789abcdef", Timestamp: ts, Sign: Sign(ts, secret)}
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// reason returns why err refuses, or "" for none.
func reason(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var r *Refusal
	if !errors.As(err, &r) {
		t.Fatalf("%v is no Refusal", err)
	}
	if r.Desc == "" || gatecast.CodeOf(err) != r.Code || r.Code == gatecast.Internal {
		t.Errorf("incomplete refusal %+v", r)
	}
	return r.Reason
}

func TestEveryValidSecretOpensTheDoorWhileARotationLasts(t *testing.T) {
	ts := millis(testNow)
	for _, secret := range []string{newSecret, oldSecret} {
		if err := Verify(signed(ts, secret), testApp(), testNow); err != nil {
			t.Errorf("secret %s: %v", secret, err)
		}
	}
	later := testNow.Add(time.Hour)
	if got := reason(t, Verify(signed(millis(later), oldSecret), testApp(), later)); got != WrongSign {
		t.Errorf("expired secret: %q, want %q", got, WrongSign)
	}
}

func TestSignIsAcceptedInUpperCaseAndTimestampInSeconds(t *testing.T) {
	c := signed(strconv.FormatInt(testNow.Unix(), 10), newSecret)
	c.Sign = strings.ToUpper(c.Sign)
	if err := Verify(c, testApp(), testNow); err != nil {
		t.Error(err)
	}
}

func TestUnknownKeyIsToldInTheVendorsWords(t *testing.T) {
	// Even with a signature by the secret that stands in for the missing one.
	err := Verify(signed(millis(testNow), dummySecret), nil, testNow)
	if reason(t, err) != UnknownKey || err.Error() != "app key not exist" {
		t.Errorf("got %v", err)
	}
}

func TestNoSecretIsGuessable(t *testing.T) {
	for name, secrets := range map[string][]gatecast.Secret{
		"none": nil, "empty": {{Value: ""}}, "two empty": {{}, {}},
	} {
		app := testApp()
		app.Secrets = secrets
		for _, guess := range []string{"", dummySecret} {
			if got := reason(t, Verify(signed(millis(testNow), guess), app, testNow)); got != WrongSign {
				t.Errorf("%s, guess %q: %q, want %q", name, guess, got, WrongSign)
			}
		}
	}
	for _, sign := range []string{"", "00000000000000000000000000000000", "zz", strings.Repeat("g", 32), Sign(millis(testNow), newSecret) + "00"} {
		c := Credentials{Timestamp: millis(testNow), Sign: sign}
		if got := reason(t, Verify(c, testApp(), testNow)); got != WrongSign {
			t.Errorf("sign %q: %q, want %q", sign, got, WrongSign)
		}
	}
}

func TestTimestampMustBe10Or13Digits(t *testing.T) {
	for _, ts := range []string{
		"", "1", "176335083", "17633508340", "176335083409", "17633508340900", "+763350834", "-763350834090",
		" 763350834090", "1763350834.09", "1_63350834090", "0x17633508", "１７６３３５", "1763350834O90",
	} {
		if got := reason(t, Verify(signed(ts, newSecret), testApp(), testNow)); got != MalformedTimestamp {
			t.Errorf("%q: %q, want %q", ts, got, MalformedTimestamp)
		}
	}
}

func TestTimestampWindowIncludesItsEdge(t *testing.T) {
	for _, v := range []struct {
		off  time.Duration
		want Reason
	}{
		{29*time.Minute + 59*time.Second, ""},
		{30 * time.Minute, ""},
		{30*time.Minute + time.Millisecond, ExpiredTimestamp},
		{30*time.Minute + time.Second, ExpiredTimestamp},
	} {
		for _, off := range []time.Duration{v.off, -v.off} {
			err := Verify(signed(millis(testNow.Add(off)), newSecret), testApp(), testNow)
			if got := reason(t, err); got != v.want {
				t.Errorf("%v off: %q, want %q", off, got, v.want)
			}
		}
	}
}

func TestExpiredTimestampSaysHowFarOffItIs(t *testing.T) {
	for off, want := range map[time.Duration]string{
		-45 * time.Minute: "timestamp expired: it is 45m0s behind the server's time 2025-11-17T03:40:34Z (1763350834090), allowed is 30m0s",
		31 * time.Minute:  "timestamp expired: it is 31m0s ahead of the server's time 2025-11-17T03:40:34Z (1763350834090), allowed is 30m0s",
	} {
		err := Verify(signed(millis(testNow.Add(off)), newSecret), testApp(), testNow)
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestWindowOffAllowsAnyAge(t *testing.T) {
	app := testApp()
	app.Window = gatecast.WindowOff
	for _, ts := range []string{"0000000000", "0000000000000", "9999999999999", "1569460051000"} {
		if err := Verify(signed(ts, newSecret), app, testNow); err != nil {
			t.Errorf("%s: %v", ts, err)
		}
	}
}

func TestAnAppWithoutAWindowGetsTheVendors(t *testing.T) {
	app := testApp()
	app.Window = 0
	if err := Verify(signed(millis(testNow.Add(-time.Minute)), newSecret), app, testNow); err != nil {
		t.Error(err)
	}
}

func TestStateOfAnAppIsToldOnlyToThoseWhoHoldASecret(t *testing.T) {
	app := testApp()
	app.Enabled = false
	expired := millis(testNow.Add(-time.Hour))
	for _, v := range []struct {
		ts, secret string
		want       Reason
	}{
		{millis(testNow), "guess", WrongSign},
		{expired, "guess", WrongSign},
		{millis(testNow), newSecret, DisabledApp},
		{expired, newSecret, DisabledApp},
	} {
		if got := reason(t, Verify(signed(v.ts, v.secret), app, testNow)); got != v.want {
			t.Errorf("%+v: got %q", v, got)
		}
	}
}

func TestOnlyTheRightSignatureIsAccepted(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := Credentials{
			AppKey:    "0123456789abcdef",
			Timestamp: rapid.StringMatching(`[0-9]{10}|[0-9]{13}`).Draw(r, "timestamp"),
			Sign:      rapid.StringMatching(`[0-9a-fA-F]{30,34}`).Draw(r, "sign"),
		}
		if rapid.Bool().Draw(r, "signed") {
			c = signed(c.Timestamp, rapid.SampledFrom([]string{newSecret, oldSecret}).Draw(r, "secret"))
		}
		app := testApp()
		app.Window = gatecast.WindowOff
		want := strings.ToLower(c.Sign) == Sign(c.Timestamp, newSecret) || strings.ToLower(c.Sign) == Sign(c.Timestamp, oldSecret)
		if err := Verify(c, app, testNow); (err == nil) != want {
			r.Fatalf("%+v: %v, accepted should be %v", c, err, want)
		}
	})
}
