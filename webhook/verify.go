package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// What [Verifier.Verify] refuses. Its errors wrap one of these, have the code
// Unauthenticated, and say more.
var (
	// ErrHeaders is a request without the headers of a webhook, or with one of
	// them twice.
	ErrHeaders error = gatecast.Errorf(gatecast.Unauthenticated, "the request has not the headers of a signed webhook")
	// ErrTimestamp is a request that was signed too long ago or too far in the
	// future: somebody sends it again, or a clock is wrong.
	ErrTimestamp error = gatecast.Errorf(gatecast.Unauthenticated, "the webhook's timestamp is not accepted")
	// ErrSignature is a request that nobody who knows a secret has signed as it is.
	ErrSignature error = gatecast.Errorf(gatecast.Unauthenticated, "the webhook's signature is not right")
)

const (
	// DefaultTolerance is how far a request's timestamp may be from the
	// receiver's clock, both ways.
	DefaultTolerance = 5 * time.Minute
	// maxSignatures bounds the work that one request can cause. The other
	// signatures are not looked at.
	maxSignatures = 32
	// maxID bounds webhook-id, in bytes. gatecast's are at most 384 long.
	maxID = 1024
	// Unix times from secondsEnd on are no seconds: they would lie beyond the year
	// 5138.
	secondsEnd = 100_000_000_000
)

// Verifier checks that requests come from who knows one of its secrets. It is
// safe for concurrent use.
type Verifier struct {
	tolerance time.Duration
	secrets   [][]byte
	keys      []ed25519.PublicKey
}

// NewVerifier returns a verifier that accepts what was signed with any of the
// secrets ("whsec_...") or with the private key of any of the public keys
// ("whpk_..."). There must be at least one. The error is Invalid and repeats
// none of them.
func NewVerifier(secrets ...string) (*Verifier, error) {
	v := &Verifier{tolerance: DefaultTolerance}
	for _, s := range secrets {
		if strings.HasPrefix(s, publicPrefix) {
			key, err := decodePublic(s)
			if err != nil {
				return nil, err
			}
			v.keys = append(v.keys, key)
			continue
		}
		secret, err := decodeSecret(s)
		if err != nil {
			return nil, err
		}
		v.secrets = append(v.secrets, secret)
	}
	if len(v.secrets)+len(v.keys) == 0 {
		return nil, bad(`give the subscription's secret, "whsec_..."`, "there is no secret to verify with")
	}
	return v, nil
}

// WithTolerance returns a verifier with the same secrets and another tolerance
// than [DefaultTolerance]. With zero or less it accepts any timestamp, which is
// good only for requests that were stored and are checked later.
func (v *Verifier) WithTolerance(d time.Duration) *Verifier {
	other := *v
	other.tolerance = d
	return &other
}

// Verify checks a request by its headers and its body, which must be the very
// bytes that were received. The names of h are spelled as [http.Header] does.
// It returns nil, or an error that wraps [ErrHeaders], [ErrTimestamp] or
// [ErrSignature].
//
// A request that passes may still come twice: tell by its messageId.
func (v *Verifier) Verify(h http.Header, body []byte) error {
	return v.verify(h, body, time.Now())
}

func (v *Verifier) verify(h http.Header, body []byte, now time.Time) error {
	id, err := single(h, HeaderID)
	if err != nil {
		return err
	}
	timestamp, err := single(h, HeaderTimestamp)
	if err != nil {
		return err
	}
	signature, err := single(h, HeaderSignature)
	if err != nil {
		return err
	}
	if len(id) > maxID {
		return fmt.Errorf("%w: webhook-id has %d bytes, more than %d", ErrHeaders, len(id), maxID)
	}
	if err := v.timely(timestamp, now); err != nil {
		return err
	}
	return v.signed(signature, appendContent(nil, id, timestamp, body))
}

func single(h http.Header, name string) (string, error) {
	switch values := h[name]; {
	case len(values) == 0 || values[0] == "":
		return "", fmt.Errorf("%w: %s is missing", ErrHeaders, strings.ToLower(name))
	case len(values) > 1:
		return "", fmt.Errorf("%w: %s is there %d times", ErrHeaders, strings.ToLower(name), len(values))
	default:
		return values[0], nil
	}
}

// timely checks the timestamp. It must be written in the one way that a signer
// writes it, or else what was signed would not be what is compared.
func (v *Verifier) timely(timestamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || seconds < 0 || seconds >= secondsEnd || strconv.FormatInt(seconds, 10) != timestamp {
		return fmt.Errorf("%w: it is not Unix time in seconds", ErrTimestamp)
	}
	if v.tolerance <= 0 {
		return nil
	}
	// In whole seconds, as the timestamp is.
	age, allowed := now.Unix()-seconds, int64(v.tolerance/time.Second)
	switch {
	case age > allowed:
		return fmt.Errorf("%w: it is %d s old, more than %d s; compare the clocks of sender and receiver", ErrTimestamp, age, allowed)
	case -age > allowed:
		return fmt.Errorf("%w: it is %d s in the future, more than %d s; compare the clocks of sender and receiver", ErrTimestamp, -age, allowed)
	}
	return nil
}

// signed looks for one signature that fits. Versions it does not know may be
// those of the future.
func (v *Verifier) signed(header string, content []byte) error {
	expected := v.symmetric(content)
	compared, seen := 0, 0
	for entry := range strings.SplitSeq(header, " ") {
		version, signature, _ := strings.Cut(entry, ",")
		if signature == "" {
			continue
		}
		if seen++; seen > maxSignatures {
			break
		}
		switch version {
		case "v1":
			for _, mac := range expected {
				compared++
				if hmac.Equal(mac, []byte(signature)) {
					return nil
				}
			}
		case "v1a":
			for _, key := range v.keys {
				compared++
				if fits(key, content, signature) {
					return nil
				}
			}
		}
	}
	if compared == 0 {
		return fmt.Errorf("%w: none of its %d signatures is of a sort that can be checked here; a secret checks v1, a public key v1a", ErrSignature, seen)
	}
	return fmt.Errorf("%w: the body was changed, or the secret is another one; the body must be verified before anything parses it", ErrSignature)
}

// symmetric returns what a v1 signature must look like, for each secret.
func (v *Verifier) symmetric(content []byte) [][]byte {
	expected := make([][]byte, len(v.secrets))
	for i, secret := range v.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write(content)
		expected[i] = base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
	}
	return expected
}

// fits checks a v1a signature. Nothing about it is secret, so it need not take
// constant time.
func fits(key ed25519.PublicKey, content []byte, signature string) bool {
	sum, err := base64.StdEncoding.Strict().DecodeString(signature)
	return err == nil && ed25519.Verify(key, content, sum)
}
