package senselink

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// IDs gives out numbers for data objects that came without an "id": each one
// greater than those before, also after a restart, and below 2^53 so that
// JavaScript keeps them exact. It must be safe for concurrent use.
type IDs interface {
	Next(now time.Time) int64
}

// Counter is the usual source of IDs: the microseconds of Unix time, or one
// more than the last number if the clock has not moved on. It starts above
// everything it gave out before a restart unless the clock was set back or more
// than a million a second were taken. The zero value is ready.
type Counter struct{ last atomic.Int64 }

// Next returns the next number.
func (c *Counter) Next(now time.Time) int64 {
	for {
		last := c.last.Load()
		n := max(last+1, now.UnixMicro())
		if c.last.CompareAndSwap(last, n) {
			return n
		}
	}
}

// newUUID returns a UUID of version 7 (RFC 9562, section 5.7): 48 bits of
// milliseconds, then 74 random ones.
func newUUID(now time.Time) string {
	var u [16]byte
	rand.Read(u[:]) // never fails: it ends the process instead
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(u[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(u[2:], uint32(ms))
	u[6] = u[6]&0x0f | 0x70
	u[8] = u[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], u[0:4])
	hex.Encode(s[9:13], u[4:6])
	hex.Encode(s[14:18], u[6:8])
	hex.Encode(s[19:23], u[8:10])
	hex.Encode(s[24:], u[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
