package webhook

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"
	"time"

	"github.com/gatecast/gatecast"
)

// keepContent is the largest buffer kept for the next signature: most batches
// fit. Larger ones go back to the garbage collector at once.
const keepContent = 1 << 20

// Signer signs with a set of secrets and private keys. It is safe for
// concurrent use.
type Signer struct {
	keys    []ed25519.PrivateKey
	scratch sync.Pool // of *signing
}

// signing is what one signature needs and the next can use again.
type signing struct {
	macs    []hash.Hash // one for each secret
	content []byte
	sum     []byte
	out     []byte
}

// NewSigner returns a signer for all of the secrets ("whsec_...") and private
// keys ("whsk_..."); there must be at least one. While a rotation lasts, there
// are an old and a new one, and a receiver that knows either is content. The
// error is Invalid and repeats none of them.
func NewSigner(secrets, keys []string) (*Signer, error) {
	if len(secrets)+len(keys) == 0 {
		return nil, gatecast.Errorf(gatecast.Invalid, "there is nothing to sign with")
	}
	raw := make([][]byte, len(secrets))
	for i, text := range secrets {
		b, err := decodeSecret(text)
		if err != nil {
			return nil, err
		}
		raw[i] = b
	}
	s := &Signer{keys: make([]ed25519.PrivateKey, len(keys))}
	for i, text := range keys {
		key, err := decodePrivate(text)
		if err != nil {
			return nil, err
		}
		s.keys[i] = key
	}
	s.scratch.New = func() any {
		w := &signing{macs: make([]hash.Hash, len(raw)), sum: make([]byte, 0, ed25519.SignatureSize)}
		for i, secret := range raw {
			w.macs[i] = hmac.New(sha256.New, secret)
		}
		return w
	}
	return s, nil
}

// Sign returns the webhook-signature of a message: id is its webhook-id, t the
// time of the attempt, body what is sent byte for byte. There is one signature
// for each secret (v1) and each key (v1a), in the order they were given.
func (s *Signer) Sign(id string, t time.Time, body []byte) string {
	w := s.scratch.Get().(*signing)
	w.content = appendContent(w.content[:0], id, Timestamp(t), body)
	w.out = w.out[:0]
	for _, mac := range w.macs {
		mac.Reset()
		mac.Write(w.content)
		w.sum = mac.Sum(w.sum[:0])
		w.add("v1,", w.sum)
	}
	for _, key := range s.keys {
		w.add("v1a,", ed25519.Sign(key, w.content))
	}
	signature := string(w.out)
	if cap(w.content) > keepContent {
		w.content = nil
	}
	s.scratch.Put(w)
	return signature
}

func (w *signing) add(version string, sum []byte) {
	if len(w.out) > 0 {
		w.out = append(w.out, ' ')
	}
	w.out = append(w.out, version...)
	w.out = base64.StdEncoding.AppendEncode(w.out, sum)
}
