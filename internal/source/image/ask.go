package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

// outcome is what came of a question.
type outcome string

const (
	fetched  outcome = "fetched"
	missing  outcome = "missing"  // the source has no such image: final
	unusable outcome = "unusable" // it sent something that cannot be kept: final
	refused  outcome = "refused"  // it does not give this one: tried a few times more
	trouble  outcome = "trouble"  // nothing to do with this image: nothing is asked for a while
)

// answer is an outcome, and why.
type answer struct {
	outcome outcome
	why     error
}

// newClient makes the client for all sources. It follows no redirects: they
// would carry a signature to somebody else. Their addresses are the operator's
// choice, so they may be anywhere.
func newClient(o Options) *http.Client {
	tr := o.Transport
	if tr == nil {
		tr = &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS,
			DialContext: (&net.Dialer{Timeout: o.Timeout}).DialContext, TLSHandshakeTimeout: o.Timeout,
			MaxIdleConnsPerHost: o.Parallel, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch asks a source for an image and stores it.
func (f *Fetcher) fetch(ctx context.Context, s *gatecast.SourceSettings, p gatecast.Photo) answer {
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	content, a := f.ask(ctx, s, p)
	if a.outcome != fetched {
		return a
	}
	err := f.Store.Put(p, content)
	switch {
	case err == nil:
		return answer{outcome: fetched}
	case gatecast.CodeOf(err) == gatecast.Invalid, gatecast.CodeOf(err) == gatecast.TooLarge:
		return answer{unusable, err}
	}
	return answer{trouble, err}
}

// ask sends one signed question. No error holds the signature.
func (f *Fetcher) ask(ctx context.Context, s *gatecast.SourceSettings, p gatecast.Photo) ([]byte, answer) {
	req, err := request(ctx, s, p)
	if err != nil {
		return nil, answer{trouble, err}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return nil, answer{trouble, err}
	}
	defer func() { _ = resp.Body.Close() }() // it is read as far as anybody wants
	content, err := io.ReadAll(io.LimitReader(resp.Body, f.opts.MaxSize+1))
	switch {
	case err != nil:
		return nil, answer{trouble, fmt.Errorf("read the answer: %w", err)}
	case resp.StatusCode == http.StatusOK && int64(len(content)) > f.opts.MaxSize:
		return nil, answer{unusable, fmt.Errorf("the image has more than %d bytes", f.opts.MaxSize)}
	}
	return content, judge(resp.StatusCode, content)
}

func request(ctx context.Context, s *gatecast.SourceSettings, p gatecast.Photo) (*http.Request, error) {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	sign := senselink.Sign(now, s.AppSecret)
	address, err := url.Parse(s.REST.URL)
	if err != nil {
		return nil, errors.New("rest.url cannot be understood")
	}
	address.Path, address.RawPath = strings.TrimSuffix(address.Path, "/")+"/v1/image/"+strconv.Itoa(int(p.Type))+"/"+p.ID, ""
	// The call is older than the headers, and newer servers know both.
	address.RawQuery = url.Values{"app_key": {s.AppKey}, "timestamp": {now}, "sign": {sign}}.Encode()
	req := (&http.Request{Method: http.MethodGet, URL: address, Host: address.Host, Header: make(http.Header)}).WithContext(ctx)
	if s.REST.Style != gatecast.RESTv4 {
		req.Header.Set("appKey", s.AppKey)
		req.Header.Set("timestamp", now)
		req.Header.Set("sign", sign)
	}
	req.Header.Set("Accept", "image/*, application/json")
	return req, nil
}

// judge reads an answer. The vendor's servers refuse with status 200 too, and a
// code in JSON.
func judge(status int, content []byte) answer {
	said, isRefusal := refusalIn(content)
	why := fmt.Errorf("the server answered %d %s", status, cmp.Or(said, http.StatusText(status)))
	switch {
	case status == http.StatusNotFound, status == http.StatusGone:
		return answer{missing, why}
	case status == http.StatusOK && !isRefusal:
		return answer{outcome: fetched}
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusRequestTimeout,
		status == http.StatusTooManyRequests, status >= 500:
		return answer{trouble, why}
	case !isRefusal:
		return answer{refused, why}
	}
	return answer{meant(said), why}
}

// meant guesses what a refusal is about: all of them have the same code.
func meant(said string) outcome {
	said = strings.ToLower(said)
	about := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(said, w) {
				return true
			}
		}
		return false
	}
	switch {
	case about("app", "sign", "timestamp", "permission", "denied", "expire", "busy"):
		return trouble
	case about("not exist", "not found", "no such"):
		return missing
	}
	return refused
}

// refusalIn returns what the vendor's words are, if this is a refusal.
func refusalIn(content []byte) (said string, is bool) {
	var e struct {
		Code jsontext.Value `json:"code"`
		Desc string         `json:"desc"`
	}
	if len(content) == 0 || content[0] != '{' || json.Unmarshal(content, &e) != nil || e.Code == nil {
		return "", false
	}
	return fmt.Sprintf("%.20s %.200q", e.Code, e.Desc), true
}
