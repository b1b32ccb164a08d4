package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// TokenPrefix begins every token, so that people and secret scanners know one
// when they see it.
const TokenPrefix = "gct_"

// tokenBytes is 200 bits: a multiple of five bytes, so that base32 needs no padding.
const tokenBytes = 25

// NewToken makes a token of 200 random bits, and the hash by which it is
// stored. The plain token exists only in what this returns.
func NewToken() (plain string, hash [32]byte) {
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails: the runtime ends the process instead
	plain = TokenPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
	return plain, HashToken(plain)
}

// HashToken returns the hash by which a token is stored and looked up.
//
// One round of SHA-256 is enough here. A slow hash such as argon2 makes
// guessing costly where people chose the secret; 200 random bits cannot be
// guessed at any speed, and a slow hash on every request would be a way to
// exhaust the server. Looking up by the hash also keeps timing silent: how far
// a comparison got tells something about the hash, and nobody can steer a hash
// towards a known one.
func HashToken(plain string) [32]byte { return sha256.Sum256([]byte(plain)) }
