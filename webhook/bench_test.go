package webhook

import (
	"bytes"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func usual() *gatecast.Event {
	data := append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), 700)...)
	return &gatecast.Event{ID: "record:SPSP-1:41", Kind: gatecast.Record, At: time.Unix(vectorTime, 0), Data: append(data, `"}`...)}
}

func BenchmarkAppendBody(b *testing.B) {
	e, buf := usual(), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBody(buf[:0], e, Form{})
	}
}

func BenchmarkSign(b *testing.B) {
	key, _ := NewKey()
	for _, c := range []struct {
		name          string
		secrets, keys []string
	}{
		{"v1", []string{NewSecret()}, nil},
		{"v1 rotating", []string{NewSecret(), NewSecret()}, nil},
		{"v1 and v1a", []string{NewSecret()}, []string{key}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s, body, at := mustSigner(b, c.secrets, c.keys), AppendBody(nil, usual(), Form{}), time.Unix(vectorTime, 0)
			b.ReportAllocs()
			for b.Loop() {
				s.Sign("record:SPSP-1:41", at, body)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	v := mustVerifier(b, vectorSecret)
	h, body, at := vector(), []byte(vectorBody), time.Unix(vectorTime, 0)
	b.ReportAllocs()
	for b.Loop() {
		if err := v.verify(h, body, at); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	body := AppendBody(nil, usual(), Form{})
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}
