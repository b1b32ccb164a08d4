package webhook

import (
	"strconv"
	"strings"
	"time"
)

// The headers of a request, as [net/http.Header] spells their names.
const (
	HeaderID        = "Webhook-Id"        // see [ID]; the same for each attempt
	HeaderTimestamp = "Webhook-Timestamp" // of the attempt, Unix time in seconds; see [Timestamp]
	HeaderSignature = "Webhook-Signature" // see [Signer.Sign]
)

// ID returns the webhook-id of a message: its messageId, with every byte that is
// not visible ASCII, every '.' and every '%' written as "%2E". A dot would let
// whoever chooses messageIds shift the borders between ID, timestamp and body in
// what is signed, and HTTP clients do not agree on other characters.
func ID(messageID string) string {
	n := 0
	for i := range len(messageID) {
		if escaped(messageID[i]) {
			n++
		}
	}
	if n == 0 {
		return messageID
	}
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(messageID) + 2*n)
	for i := range len(messageID) {
		c := messageID[i]
		if !escaped(c) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

func escaped(c byte) bool { return c <= ' ' || c > '~' || c == '.' || c == '%' }

// Timestamp returns the webhook-timestamp of an attempt at t.
func Timestamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// appendContent appends what is signed.
func appendContent(dst []byte, id, timestamp string, body []byte) []byte {
	dst = append(dst, id...)
	dst = append(dst, '.')
	dst = append(dst, timestamp...)
	dst = append(dst, '.')
	return append(dst, body...)
}
