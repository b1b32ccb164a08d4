package gatecast

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// PhotoType says which kind of photo an image is. Its values are those of the
// vendor's image call.
type PhotoType int

const (
	// Registered is the photo that a person is known by.
	Registered PhotoType = 1
	// Captured is what a device took: a face, a scene, a document.
	Captured PhotoType = 2
)

// PhotoTypes lists the types there are.
func PhotoTypes() []PhotoType { return []PhotoType{Registered, Captured} }

// String returns "registered", "captured", or the number of a type not known here.
func (t PhotoType) String() string {
	switch t {
	case Registered:
		return "registered"
	case Captured:
		return "captured"
	}
	return strconv.Itoa(int(t))
}

// Photo names one image.
type Photo struct {
	Type PhotoType
	ID   string // see [ValidPhotoID]
}

// PhotoID is the ID of a photo that came without one: the first 24 hexadecimal
// digits of its SHA-256, as long as the vendor's own. The same photo has the
// same ID whenever it comes.
func PhotoID(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:12])
}

// ValidPhotoID reports whether id can name an image here: 16 to 64 letters,
// digits, '-' and '_'. The vendor's have 24 hexadecimal digits. Shorter ones
// would mean different images at different servers.
func ValidPhotoID(id string) bool {
	foreign := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}
	return len(id) >= 16 && len(id) <= 64 && !strings.ContainsFunc(id, foreign)
}
