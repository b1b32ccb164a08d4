package webhook

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatecast/gatecast"
)

// The vectors of the reference library.
const (
	vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorKey    = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk="
	vectorID     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime   = 1614265330
	vectorBody   = `{"test": 2432232314}`
	vectorV1     = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	vectorV1a    = "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
)

func mustSigner(t testing.TB, secrets, keys []string) *Signer {
	t.Helper()
	s, err := NewSigner(secrets, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signed returns the headers of a request.
func signed(s *Signer, id string, at time.Time, body string) http.Header {
	return http.Header{
		HeaderID:        {id},
		HeaderTimestamp: {Timestamp(at)},
		HeaderSignature: {s.Sign(id, at, []byte(body))},
	}
}

func TestSignaturesAreThoseOfTheReferenceLibrary(t *testing.T) {
	for _, c := range []struct {
		secrets, keys []string
		want          string
	}{
		{[]string{vectorSecret}, nil, vectorV1},
		{nil, []string{vectorKey}, vectorV1a},
		{[]string{vectorSecret}, []string{vectorKey}, vectorV1 + " " + vectorV1a},
	} {
		s := mustSigner(t, c.secrets, c.keys)
		for range 2 { // what one signature leaves behind is used by the next
			if got := s.Sign(vectorID, time.Unix(vectorTime, 999), []byte(vectorBody)); got != c.want {
				t.Errorf("signed %q, want %q", got, c.want)
			}
		}
	}
}

func TestEachSecretAndKeySignsInTheOrderGiven(t *testing.T) {
	newer := NewSecret()
	key, _ := NewKey()
	at := time.Unix(vectorTime, 0)
	alone := func(secrets, keys []string) string {
		return mustSigner(t, secrets, keys).Sign("m", at, []byte("{}"))
	}
	want := strings.Join([]string{
		alone([]string{newer}, nil), alone([]string{vectorSecret}, nil),
		alone(nil, []string{key}), alone(nil, []string{vectorKey}),
	}, " ")
	if got := alone([]string{newer, vectorSecret}, []string{key, vectorKey}); got != want {
		t.Errorf("signed %q, want %q", got, want)
	}
}

func TestOneSignerSignsForManyAtOnce(t *testing.T) {
	s := mustSigner(t, []string{vectorSecret}, []string{vectorKey})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if got := s.Sign(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody)); got != vectorV1+" "+vectorV1a {
					t.Errorf("signed %q", got)
				}
			}
		})
	}
	all.Wait()
}

func TestAHugeBodyIsSignedAndItsBufferIsNotKept(t *testing.T) {
	s := mustSigner(t, []string{vectorSecret}, nil)
	v := mustVerifier(t, vectorSecret)
	body := strings.Repeat("x", keepContent+1)
	now := time.Unix(vectorTime, 0)
	if err := v.verify(signed(s, "m", now, body), []byte(body), now); err != nil {
		t.Error(err)
	}
	if w := s.scratch.Get().(*signing); cap(w.content) > keepContent {
		t.Errorf("%d bytes are kept", cap(w.content))
	}
}

func TestNewSecretsAndKeysAreValidAndNeverTheSame(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		secret := NewSecret()
		private, public := NewKey()
		if err := ValidSecret(secret); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
		if derived, err := PublicKey(private); err != nil || derived != public {
			t.Errorf("the public key is %s, and derived %s, %v", public, derived, err)
		}
		for _, s := range []string{secret, private, public} {
			if seen[s] {
				t.Errorf("%s twice", s)
			}
			seen[s] = true
		}
		mustSigner(t, []string{secret}, []string{private})
		mustVerifier(t, secret, public)
	}
}

// Svix writes the public key behind the seed.
func TestAPrivateKeyWithThePublicOneBehindItIsTheSameKey(t *testing.T) {
	seed, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(vectorKey, privatePrefix))
	if err != nil {
		t.Fatal(err)
	}
	whole := ed25519.NewKeyFromSeed(seed)
	long := privatePrefix + base64.StdEncoding.EncodeToString(whole)
	if got := mustSigner(t, nil, []string{long}).Sign(vectorID, time.Unix(vectorTime, 0), []byte(vectorBody)); got != vectorV1a {
		t.Errorf("signed %q, want %q", got, vectorV1a)
	}
	whole[63] ^= 1
	if _, err := PublicKey(privatePrefix + base64.StdEncoding.EncodeToString(whole)); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("halves of two keys: %v", err)
	}
}

func TestBadSecretsAndKeysAreRefusedWithoutRepeatingThem(t *testing.T) {
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s3cret", 20)[:n])) }
	secret := func(s string) error {
		_, err := NewSigner([]string{vectorSecret, s}, nil)
		_, verr := NewVerifier(vectorSecret, s)
		if valid := ValidSecret(s); valid == nil || err == nil || verr == nil {
			t.Errorf("%s: %v, signer %v, verifier %v", s, valid, err, verr)
		}
		return err
	}
	private := func(s string) error {
		_, err := NewSigner([]string{vectorSecret}, []string{s})
		return err
	}
	public := func(s string) error {
		_, err := NewVerifier(vectorSecret, s)
		return err
	}
	for _, c := range []struct {
		try  func(string) error
		text string
	}{
		{secret, ""},
		{secret, b64(24)},
		{secret, "whsk_" + b64(32)},
		{secret, "WHSEC_" + b64(24)},
		{secret, "whsec_" + b64(23)},
		{secret, "whsec_" + b64(65)},
		{secret, "whsec_" + b64(24) + "\n"},
		{secret, "whsec_" + strings.TrimRight(b64(25), "=")},
		{secret, "whsec_" + b64(24) + "!"},
		{secret, "whsec_" + strings.Repeat("A", 33) + "B=="}, // the same bytes as AA==
		{private, ""},
		{private, "whsec_" + b64(32)},
		{private, "whpk_" + b64(32)},
		{private, "whsk_" + b64(31)},
		{private, "whsk_" + b64(64)}, // halves that do not belong together
		{public, "whpk_"},
		{public, "whpk_" + b64(31)},
		{public, "whpk_" + b64(64)},
	} {
		err := c.try(c.text)
		if gatecast.CodeOf(err) != gatecast.Invalid || err.(*gatecast.Error).Remedy == "" {
			t.Errorf("%q: %v, want an Invalid error with a remedy", c.text, err)
			continue
		}
		if _, rest, _ := strings.Cut(c.text, "_"); len(rest) > 4 && strings.Contains(err.Error(), rest[:4]) {
			t.Errorf("the error repeats it: %v", err)
		}
	}
	if _, err := NewSigner(nil, nil); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("a signer without anything: %v", err)
	}
	if _, err := NewVerifier(); gatecast.CodeOf(err) != gatecast.Invalid {
		t.Errorf("a verifier without anything: %v", err)
	}
}

func TestAnIDIsVisibleASCIIWithoutDots(t *testing.T) {
	for messageID, want := range map[string]string{
		"":                                     "",
		"record:SPSP-1:1364591":                "record:SPSP-1:1364591",
		"01920e3c-0000-7000-8000-000000000001": "01920e3c-0000-7000-8000-000000000001",
		"record:door.1:5":                      "record:door%2E1:5",
		"record:door%2E1:5":                    "record:door%252E1:5",
		"門\n":                                  "%E9%96%80%0A",
		"a b\x7f":                              "a%20b%7F",
	} {
		if got := ID(messageID); got != want {
			t.Errorf("ID(%q) = %q, want %q", messageID, got, want)
		}
	}
}

func TestDifferentMessagesHaveDifferentIDs(t *testing.T) {
	alphabet := rapid.StringOf(rapid.SampledFrom([]rune("a.%2E5é ")))
	rapid.Check(t, func(t *rapid.T) {
		a, b := alphabet.Draw(t, "a"), alphabet.Draw(t, "b")
		if (ID(a) == ID(b)) != (a == b) {
			t.Fatalf("%q and %q become %q and %q", a, b, ID(a), ID(b))
		}
	})
}
