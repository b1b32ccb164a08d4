package webhook

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func mustVerifier(t testing.TB, secrets ...string) *Verifier {
	t.Helper()
	v, err := NewVerifier(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func vectorPublic(t testing.TB) string {
	t.Helper()
	public, err := PublicKey(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// vector is the request of the reference library's vectors.
func vector() http.Header {
	return http.Header{
		HeaderID:        {vectorID},
		HeaderTimestamp: {strconv.Itoa(vectorTime)},
		HeaderSignature: {vectorV1 + " " + vectorV1a},
	}
}

const wrongV1 = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="

func TestVerifyAcceptsWhatASecretOrAKeyHasSigned(t *testing.T) {
	public := vectorPublic(t)
	_, otherPublic := NewKey()
	for name, c := range map[string]struct {
		known     []string
		signature string
	}{
		"secret":                          {[]string{vectorSecret}, vectorV1},
		"public key":                      {[]string{public}, vectorV1a},
		"secret among versions":           {[]string{vectorSecret}, vectorV1a + " v2,xyz " + vectorV1},
		"public key among versions":       {[]string{public}, vectorV1 + " v2,xyz v1a, " + vectorV1a},
		"the older of two secrets":        {[]string{NewSecret(), vectorSecret}, vectorV1},
		"the older of two keys":           {[]string{otherPublic, public}, vectorV1a},
		"secret that signed second":       {[]string{vectorSecret}, wrongV1 + " " + vectorV1},
		"either":                          {[]string{vectorSecret, otherPublic}, vectorV1a + " " + vectorV1},
		"more spaces than need be":        {[]string{vectorSecret}, "  " + wrongV1 + "   " + vectorV1 + " "},
		"unknown words in the list":       {[]string{vectorSecret}, "v1 , v9 garbage " + vectorV1},
		"as many as are looked at":        {[]string{vectorSecret}, strings.Repeat(wrongV1+" ", maxSignatures-1) + vectorV1},
		"a key that did not sign as well": {[]string{vectorSecret, public}, wrongV1 + " " + vectorV1a},
	} {
		h := vector()
		h.Set("webhook-signature", c.signature)
		if err := mustVerifier(t, c.known...).verify(h, []byte(vectorBody), time.Unix(vectorTime, 0)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerifyRefusesWithTheReason(t *testing.T) {
	public := vectorPublic(t)
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	both, secret, key := []string{vectorSecret, public}, []string{vectorSecret}, []string{public}
	for name, c := range map[string]struct {
		known  []string
		change func(http.Header)
		body   string
		want   error
		says   string
	}{
		"no headers at all":       {both, func(h http.Header) { clear(h) }, vectorBody, ErrHeaders, "webhook-id is missing"},
		"no id":                   {both, func(h http.Header) { h.Del("webhook-id") }, vectorBody, ErrHeaders, "webhook-id is missing"},
		"empty id":                {both, set("webhook-id", ""), vectorBody, ErrHeaders, "webhook-id is missing"},
		"no timestamp":            {both, func(h http.Header) { h.Del("webhook-timestamp") }, vectorBody, ErrHeaders, "webhook-timestamp is missing"},
		"no signature":            {both, func(h http.Header) { h.Del("webhook-signature") }, vectorBody, ErrHeaders, "webhook-signature is missing"},
		"two ids":                 {both, func(h http.Header) { h.Add("webhook-id", vectorID) }, vectorBody, ErrHeaders, "webhook-id is there 2 times"},
		"two signatures' headers": {both, func(h http.Header) { h.Add("webhook-signature", wrongV1) }, vectorBody, ErrHeaders, "2 times"},
		"an endless id":           {both, set("webhook-id", strings.Repeat("x", maxID+1)), vectorBody, ErrHeaders, "1025 bytes"},
		"timestamp no number":     {both, set("webhook-timestamp", "yesterday"), vectorBody, ErrTimestamp, "not Unix time"},
		"timestamp with a sign":   {both, set("webhook-timestamp", "+1614265330"), vectorBody, ErrTimestamp, "not Unix time"},
		"timestamp with a zero":   {both, set("webhook-timestamp", "01614265330"), vectorBody, ErrTimestamp, "not Unix time"},
		"timestamp before 1970":   {both, set("webhook-timestamp", "-1"), vectorBody, ErrTimestamp, "not Unix time"},
		"timestamp in millis":     {both, set("webhook-timestamp", "1614265330000"), vectorBody, ErrTimestamp, "not Unix time"},
		"the largest timestamp":   {both, set("webhook-timestamp", "99999999999"), vectorBody, ErrTimestamp, "in the future"},
		"another timestamp":       {both, set("webhook-timestamp", "1614265331"), vectorBody, ErrSignature, "body was changed"},
		"another id":              {both, set("webhook-id", vectorID+"x"), vectorBody, ErrSignature, "body was changed"},
		"another body":            {both, set("x", "y"), vectorBody + " ", ErrSignature, "body was changed"},
		"no body":                 {both, set("x", "y"), "", ErrSignature, "body was changed"},
		"borders shifted":         {both, set("webhook-id", vectorID+".1614265330"), vectorBody, ErrSignature, "body was changed"},
		"another secret":          {[]string{NewSecret()}, set("x", "y"), vectorBody, ErrSignature, "secret is another one"},
		"no v1 for a secret":      {secret, set("webhook-signature", vectorV1a), vectorBody, ErrSignature, "none of its 1 signatures"},
		"no v1a for a key":        {key, set("webhook-signature", vectorV1), vectorBody, ErrSignature, "none of its 1 signatures"},
		"versions mixed up":       {both, set("webhook-signature", "v1a,"+vectorV1[3:]+" v1,"+vectorV1a[4:]), vectorBody, ErrSignature, "body was changed"},
		"version in capitals":     {secret, set("webhook-signature", "V1"+vectorV1[2:]), vectorBody, ErrSignature, "none of its 1"},
		"signature without end":   {both, set("webhook-signature", vectorV1[:20]+" "+vectorV1a[:20]), vectorBody, ErrSignature, "body was changed"},
		"a comma in between":      {secret, set("webhook-signature", wrongV1+","+vectorV1), vectorBody, ErrSignature, "body was changed"},
		"empty signatures":        {both, set("webhook-signature", "v1, v1a,"), vectorBody, ErrSignature, "none of its 0"},
		"behind too many": {
			secret, set("webhook-signature", strings.Repeat(wrongV1+" ", maxSignatures)+vectorV1), vectorBody, ErrSignature, "body was changed",
		},
	} {
		h := vector()
		c.change(h)
		err := mustVerifier(t, c.known...).verify(h, []byte(c.body), time.Unix(vectorTime, 0))
		if !errors.Is(err, c.want) || gatecast.CodeOf(err) != gatecast.Unauthenticated || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v\nwant %v ... %s", name, err, c.want, c.says)
		}
	}
}

func TestTimestampsAreAcceptedWithinTheToleranceBothWays(t *testing.T) {
	v := mustVerifier(t, vectorSecret)
	for _, c := range []struct {
		v    *Verifier
		off  time.Duration
		want error
	}{
		{v, 5 * time.Minute, nil},
		{v, 5*time.Minute + time.Second, ErrTimestamp},
		{v, -5 * time.Minute, nil},
		{v, -5*time.Minute - time.Second, ErrTimestamp},
		{v.WithTolerance(time.Second), time.Second, nil},
		{v.WithTolerance(time.Second), 2 * time.Second, ErrTimestamp},
		{v.WithTolerance(time.Second), -2 * time.Second, ErrTimestamp},
		{v.WithTolerance(0), 100_000 * time.Hour, nil},
		{v.WithTolerance(0), -100_000 * time.Hour, nil},
	} {
		if err := c.v.verify(vector(), []byte(vectorBody), time.Unix(vectorTime, 0).Add(c.off)); !errors.Is(err, c.want) {
			t.Errorf("a clock %v off with a tolerance of %v: %v, want %v", c.off, c.v.tolerance, err, c.want)
		}
	}
	if v.tolerance != DefaultTolerance {
		t.Error("the verifier that others were made from has changed")
	}
}

func TestVerifyGoesByTheClock(t *testing.T) {
	s, v := mustSigner(t, []string{vectorSecret}, nil), mustVerifier(t, vectorSecret)
	if err := v.Verify(signed(s, "m", time.Now(), "{}"), []byte("{}")); err != nil {
		t.Error(err)
	}
	if err := v.Verify(vector(), []byte(vectorBody)); !errors.Is(err, ErrTimestamp) {
		t.Errorf("a request of 2021: %v", err)
	}
}

// Who owns both secrets while one takes the other's place must never be refused.
func TestARotationNeverInterrupts(t *testing.T) {
	older, newer := NewSecret(), NewSecret()
	olderKey, olderPublic := NewKey()
	newerKey, newerPublic := NewKey()
	now := time.Unix(vectorTime, 0)
	during := signed(mustSigner(t, []string{newer, older}, []string{newerKey, olderKey}), "m", now, "{}")
	for _, known := range []string{older, newer, olderPublic, newerPublic} {
		if err := mustVerifier(t, known).verify(during, []byte("{}"), now); err != nil {
			t.Errorf("%s: %v", known[:5], err)
		}
	}
	after := signed(mustSigner(t, []string{newer}, []string{newerKey}), "m", now, "{}")
	for _, known := range []string{older, olderPublic} {
		if err := mustVerifier(t, known).verify(after, []byte("{}"), now); !errors.Is(err, ErrSignature) {
			t.Errorf("%s is still good: %v", known[:5], err)
		}
	}
}
