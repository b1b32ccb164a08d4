package senselink

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

func BenchmarkDecodeOne(b *testing.B) {
	benchmarkDecode(b, golden(b, "record.subscription.json"), JSON)
}

func BenchmarkDecodeBatchOf1000(b *testing.B) {
	benchmarkDecode(b, strings.Repeat(golden(b, "record.push.json")+"\n", 1000), NDJSON)
}

func benchmarkDecode(b *testing.B, body string, f Format) {
	d := NewDecoder(Options{})
	r := strings.NewReader(body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(body)
		if _, err := d.Decode(r, f, testNow); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendPush(b *testing.B) {
	e := &gatecast.Event{Kind: gatecast.Record, Data: bytes.Repeat([]byte("x"), 700)}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPush(buf[:0], e)
	}
}

func BenchmarkVerify(b *testing.B) {
	app, c := testApp(), signed(millis(testNow), newSecret)
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(c, app, testNow.Add(time.Second)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTraitsOf(b *testing.B) {
	e := &gatecast.Event{Kind: gatecast.Record, Data: []byte(dataOf(golden(b, "record.push.json")))}
	b.SetBytes(int64(len(e.Data)))
	b.ReportAllocs()
	for b.Loop() {
		TraitsOf(e)
	}
}
