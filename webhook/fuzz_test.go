package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatecast/gatecast"
)

// Whatever the headers and the body are, nothing passes that was not signed, and
// what was signed passes.
func FuzzVerify(f *testing.F) {
	f.Add(vectorID, "1614265330", vectorV1, vectorBody)
	f.Add(vectorID, "1614265330", wrongV1+" "+vectorV1a, vectorBody)
	f.Add("m", "1614265331", "v1,,v1a, v1a,====", "")
	f.Add(vectorID+".1614265330", "1", "", "{}")
	s := mustSigner(f, []string{vectorSecret}, []string{vectorKey})
	v := mustVerifier(f, vectorSecret, vectorPublic(f))
	now := time.Unix(vectorTime, 0)
	f.Fuzz(func(t *testing.T, id, timestamp, signature, body string) {
		h := http.Header{HeaderID: {id}, HeaderTimestamp: {timestamp}, HeaderSignature: {signature}}
		switch err := v.verify(h, []byte(body), now); {
		case err == nil:
			if id != vectorID || timestamp != "1614265330" || body != vectorBody {
				t.Fatalf("%q, %q, %q: %q passes", id, timestamp, body, signature)
			}
		case !errors.Is(err, ErrHeaders) && !errors.Is(err, ErrTimestamp) && !errors.Is(err, ErrSignature):
			t.Fatal(err)
		}
		if id = ID(id); id == "" || len(id) > maxID {
			return
		}
		h = signed(s, id, now, body)
		if err := v.verify(h, []byte(body), now); err != nil {
			t.Fatalf("%q: %v", id, err)
		}
		h.Set(HeaderSignature, h.Get(HeaderSignature)+" "+signature)
		if err := v.verify(h, []byte(body), now); err != nil {
			t.Fatalf("not accepted with %q behind: %v", signature, err)
		}
		if err := v.verify(h, []byte(body+" "), now); !errors.Is(err, ErrSignature) {
			t.Fatalf("%q passes with a space behind: %v", body, err)
		}
	})
}

// Whatever the body is, Parse returns whole messages or a classified error.
func FuzzParse(f *testing.F) {
	one := string(AppendBody(nil, sample(), Form{}))
	for _, s := range []string{one, "[" + one + "," + one + "]", strings.Replace(one, "30000", `"30000"`, 1), "[]", "null", `{"eventType":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, err := Parse(body)
		if err != nil {
			if code := gatecast.CodeOf(err); messages != nil || code != gatecast.Malformed && code != gatecast.Invalid {
				t.Fatalf("%d messages and %v", len(messages), err)
			}
			return
		}
		for _, m := range messages {
			if m.MessageID == "" || !json.Valid(m.Data) || m.Data[0] != '{' {
				t.Fatalf("%s: %+v", body, m)
			}
		}
	})
}
