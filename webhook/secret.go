package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/gatecast/gatecast"
)

// What secrets and keys begin with, so that nobody mistakes one for another.
const (
	secretPrefix  = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"
)

// Bytes of a secret. Standard Webhooks wants at least 192 bits and at most 512.
const (
	minSecret = 24
	maxSecret = 64
	newSecret = 32
)

// NewSecret returns a random secret: "whsec_" and base64 of 32 bytes.
func NewSecret() string {
	var b [newSecret]byte
	_, _ = rand.Read(b[:]) // never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// ValidSecret returns an Invalid error that says what is wrong with a secret,
// without repeating it, or nil.
func ValidSecret(secret string) error {
	_, err := decodeSecret(secret)
	return err
}

func decodeSecret(secret string) ([]byte, error) {
	const remedy = `give "whsec_" and base64 of 24 to 64 random bytes, such as "gatecast" itself makes`
	b, err := decode(secretPrefix, secret, "secret", remedy)
	if err != nil {
		return nil, err
	}
	if n := len(b); n < minSecret || n > maxSecret {
		return nil, bad(remedy, "the secret has %d bytes, not %d to %d", n, minSecret, maxSecret)
	}
	return b, nil
}

// NewKey returns a random ed25519 key for signing: "whsk_" and base64 of its 32
// bytes (the seed of RFC 8032, as the reference library in Go has it), and the
// public key for checking: "whpk_" and base64 of its 32 bytes.
func NewKey() (private, public string) {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails
	return privatePrefix + base64.StdEncoding.EncodeToString(seed), publicOf(ed25519.NewKeyFromSeed(seed))
}

// PublicKey returns the public key, "whpk_...", of a private one, or an Invalid
// error that does not repeat it.
func PublicKey(private string) (string, error) {
	key, err := decodePrivate(private)
	if err != nil {
		return "", err
	}
	return publicOf(key), nil
}

func publicOf(key ed25519.PrivateKey) string {
	return publicPrefix + base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:])
}

// decodePrivate reads both forms in use. Standard Webhooks says nothing about
// it; its library in Go takes the seed, Svix the seed with the public key behind
// it.
func decodePrivate(private string) (ed25519.PrivateKey, error) {
	const remedy = `give "whsk_" and base64 of an ed25519 private key, 32 or 64 bytes`
	b, err := decode(privatePrefix, private, "private key", remedy)
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.SeedSize && len(b) != ed25519.PrivateKeySize {
		return nil, bad(remedy, "the private key has %d bytes, not %d or %d", len(b), ed25519.SeedSize, ed25519.PrivateKeySize)
	}
	key := ed25519.NewKeyFromSeed(b[:ed25519.SeedSize])
	if len(b) == ed25519.PrivateKeySize && !bytes.Equal(key, b) {
		return nil, bad(remedy, "the two halves of the private key do not belong together")
	}
	return key, nil
}

func decodePublic(public string) (ed25519.PublicKey, error) {
	const remedy = `give "whpk_" and base64 of an ed25519 public key, 32 bytes`
	b, err := decode(publicPrefix, public, "public key", remedy)
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.PublicKeySize {
		return nil, bad(remedy, "the public key has %d bytes, not %d", len(b), ed25519.PublicKeySize)
	}
	return b, nil
}

func decode(prefix, text, what, remedy string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, bad(remedy, "the %s does not begin with %q", what, prefix)
	}
	// The decoder would pass over line breaks, and so take two texts for the
	// same. Its error holds a position only, never what stands there.
	b, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil || strings.ContainsAny(rest, "\r\n") {
		return nil, bad(remedy, "the %s is not base64", what)
	}
	return b, nil
}

func bad(remedy, format string, args ...any) error {
	e := gatecast.Errorf(gatecast.Invalid, format, args...)
	e.Remedy = remedy
	return e
}
