package senselink

import (
	"crypto/md5"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/gatecast/gatecast"
)

const (
	// PathPrefix is where the push endpoint lives on the vendor's server.
	PathPrefix = "/websocket/record/"
	// PathPattern is the endpoint as a pattern of [net/http.ServeMux]; its
	// wildcards are the fields of [Credentials] in order.
	PathPattern = "GET /websocket/record/{app_key}/{timestamp}/{sign}"
)

// maxSegment bounds one part of the path. The longest honest one has 32
// characters; longer than this is refused before anything is computed of it.
const maxSegment = 256

// Credentials are what a client puts into the URL to prove who it is.
type Credentials struct {
	AppKey    string // names the app
	Timestamp string // Unix time as text: 13 digits of milliseconds or 10 of seconds
	Sign      string // hexadecimal, see [Sign]
}

// Sign returns the signature of a timestamp under an app's secret: the MD5 of
// timestamp, "#" and secret as 32 lower-case hexadecimal characters. MD5 is
// what the protocol demands; nothing else here relies on it.
func Sign(timestamp, secret string) string {
	sum := digest(timestamp, secret)
	return hex.EncodeToString(sum[:])
}

func digest(timestamp, secret string) [md5.Size]byte {
	return md5.Sum([]byte(timestamp + "#" + secret))
}

// Path returns the request path, percent-encoded, that carries c.
func Path(c Credentials) string {
	return PathPrefix + url.PathEscape(c.AppKey) + "/" + url.PathEscape(c.Timestamp) + "/" + url.PathEscape(c.Sign)
}

// ParsePath reads what [Path] writes. It wants the path as it was sent, still
// percent-encoded ([net/url.URL.EscapedPath]). It checks the shape only; a path
// that is not one of this protocol is a NotFound error.
func ParsePath(path string) (Credentials, error) {
	rest, ok := strings.CutPrefix(path, PathPrefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return Credentials{}, notThisPath()
	}
	for i, p := range parts {
		plain, err := url.PathUnescape(p)
		if err != nil || plain == "" || len(plain) > maxSegment {
			return Credentials{}, notThisPath()
		}
		parts[i] = plain
	}
	return Credentials{AppKey: parts[0], Timestamp: parts[1], Sign: parts[2]}, nil
}

// notThisPath does not repeat the path: it may hold a valid signature.
func notThisPath() error {
	e := gatecast.Errorf(gatecast.NotFound, "the path is not %s{app_key}/{timestamp}/{sign}", PathPrefix)
	e.Remedy = "put the three parts, none of them empty, behind " + PathPrefix
	return e
}

// RedactPath returns a path that is fit for a log. Key and timestamp of a push
// URL stay, because they help to find a misconfigured client; the signature,
// which together with them is a password, becomes "***". What only resembles a
// push URL loses everything behind the prefix, what looks like a signature is
// replaced wherever it stands, and a query is never kept.
func RedactPath(path string) string {
	path, _, query := strings.Cut(path, "?")
	if i := strings.Index(path, PathPrefix); i >= 0 {
		head := path[:i]
		if c, err := ParsePath(path[i:]); err == nil {
			c.Sign = ""
			path = head + Path(c) + "***"
		} else {
			path = head + PathPrefix + "***"
		}
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if _, err := hex.DecodeString(p); err == nil && len(p) == hex.EncodedLen(md5.Size) {
			parts[i] = "***"
		}
	}
	path = strings.Join(parts, "/")
	if query {
		path += "?***"
	}
	return path
}
