package reconcile

import (
	"bytes"
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
	"golang.org/x/time/rate"

	"github.com/gatecast/gatecast"
	"github.com/gatecast/gatecast/senselink"
)

const (
	recordsV4 = "/api/v5/record/list" // of the style v4, for all its name
	recordsV5 = "/sl/api/v5/records"
	alarms    = "/api/v2/device/alarm/list"

	mostAnswer = 16 << 20 // bytes; 1000 rows of usual size have a tenth of it
)

// upstream is the REST interface of a source, by the settings of one moment.
type upstream struct {
	settings gatecast.SourceSettings
	zone     *time.Location
	size     int
	timeout  time.Duration
	client   *http.Client
	limit    *rate.Limiter
	clock    *clock
}

// newClient makes the client for all sources. It follows no redirects: they
// would carry a signature to somebody else.
func newClient(o Options) *http.Client {
	tr := o.Transport
	if tr == nil {
		tr = &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: o.Timeout}).DialContext, TLSHandshakeTimeout: o.Timeout, TLSClientConfig: o.TLS,
			MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true,
		}
	}
	return &http.Client{
		Transport:     tr,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// records asks for a page of the records between two times, ascending.
func (u *upstream) records(ctx context.Context, from, to time.Time, page int) (answer, error) {
	return u.ordered(ctx, from, to, page, "asc")
}

// newest asks for the newest records between two times. A server that knows no
// order gives others.
func (u *upstream) newest(ctx context.Context, from, to time.Time) (answer, error) {
	return u.ordered(ctx, from, to, 1, "desc")
}

func (u *upstream) ordered(ctx context.Context, from, to time.Time, page int, order string) (answer, error) {
	q := url.Values{
		"dateTimeFrom": {from.In(u.zone).Format(time.DateTime)},
		"dateTimeTo":   {to.In(u.zone).Format(time.DateTime)},
		"order":        {order},
	}
	path := recordsV4
	if u.settings.REST.Style != gatecast.RESTv4 {
		path = recordsV5
	}
	a, err := u.list(ctx, path, q, page)
	if err != nil {
		return answer{}, fmt.Errorf("ask for records: %w", err)
	}
	return a, nil
}

// alarms asks for a page of the alarms that began between two days.
func (u *upstream) alarms(ctx context.Context, from, to time.Time, page int) (answer, error) {
	a, err := u.list(ctx, alarms, url.Values{
		"dateFrom": {from.In(u.zone).Format(time.DateOnly)},
		"dateTo":   {to.In(u.zone).Format(time.DateOnly)},
		"status":   {"0"},
	}, page)
	if err != nil {
		return answer{}, fmt.Errorf("ask for alarms: %w", err)
	}
	return a, nil
}

func (u *upstream) list(ctx context.Context, path string, q url.Values, page int) (answer, error) {
	q.Set("page", strconv.Itoa(page))
	q.Set("size", strconv.Itoa(u.size))
	if err := u.limit.Wait(ctx); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, u.timeout, fmt.Errorf("no answer within %s", u.timeout))
	defer cancel()
	body, err := u.get(ctx, path, q)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && context.Cause(ctx) != nil {
			err = context.Cause(ctx)
		}
		return answer{}, err
	}
	return readAnswer(body)
}

// get signs a request and returns what is answered. Its errors do not hold the
// signature.
func (u *upstream) get(ctx context.Context, path string, q url.Values) ([]byte, error) {
	now := strconv.FormatInt(time.Now().UnixMilli(), 10)
	sign := senselink.Sign(now, u.settings.AppSecret)
	v5 := u.settings.REST.Style != gatecast.RESTv4
	// The list of alarms is older than the headers, and newer servers know both.
	if !v5 || path == alarms {
		q.Set("app_key", u.settings.AppKey)
		q.Set("timestamp", now)
		q.Set("sign", sign)
	}
	address, err := url.Parse(u.settings.REST.URL)
	if err != nil {
		return nil, errors.New("rest.url cannot be understood")
	}
	address.Path, address.RawPath = strings.TrimSuffix(address.Path, "/")+path, ""
	address.RawQuery = q.Encode()
	req := (&http.Request{Method: http.MethodGet, URL: address, Host: address.Host, Header: make(http.Header)}).WithContext(ctx)
	if v5 {
		req.Header.Set("appKey", u.settings.AppKey)
		req.Header.Set("timestamp", now)
		req.Header.Set("sign", sign)
	}
	req.Header.Set("Accept", "application/json")
	asked := time.Now()
	resp, err := u.client.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, err
	}
	u.clock.hear(resp.Header, asked, time.Now())
	defer func() { _ = resp.Body.Close() }() // it is read as far as anybody wants
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(body) > mostAnswer:
		return nil, fmt.Errorf("the answer has more than %d bytes", mostAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, refusalOf(resp.StatusCode, body)
	}
	return body, nil
}

// refusalOf says why a request was refused, in the vendor's words if they are there.
func refusalOf(status int, body []byte) error {
	var e envelope
	if json.Unmarshal(body, &e) == nil && e.said() != "" {
		return fmt.Errorf("the server answered %d: %s", status, e.said())
	}
	return fmt.Errorf("the server answered %d %s", status, http.StatusText(status))
}

// envelope is the outside of an answer.
type envelope struct {
	Code    jsontext.Value `json:"code"`
	Message jsontext.Value `json:"message"`
	Desc    jsontext.Value `json:"desc"`
	Data    jsontext.Value `json:"data"`

	Rest map[string]jsontext.Value `json:",inline"`
}

// said returns code, message and desc, shortened.
func (e *envelope) said() string {
	var b bytes.Buffer
	for _, v := range []jsontext.Value{e.Code, e.Message, e.Desc} {
		if text := plain(v); text != "" && text != "null" {
			fmt.Fprintf(&b, " %.200q", text)
		}
	}
	return string(bytes.TrimSpace(b.Bytes()))
}

// plain returns what a string says, and any other value as it stands.
func plain(v jsontext.Value) string {
	if v.Kind() != '"' {
		return string(v)
	}
	b, _ := jsontext.AppendUnquote(nil, v) // the parser has accepted it
	return string(b)
}

// readAnswer reads a page of a list. The servers do not agree on what it lies in.
func readAnswer(body []byte) (answer, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return answer{}, fmt.Errorf("the answer is no JSON object: %w", err)
	}
	if code := plain(e.Code); code != "200" && code != "" {
		return answer{}, fmt.Errorf("the server answered %s", e.said())
	}
	around := e.Rest
	if around == nil {
		around = make(map[string]jsontext.Value)
	}
	if e.Data.Kind() == '{' { // data holds the list, and how long it is; else it is the list
		around = nil
		if err := json.Unmarshal(e.Data, &around); err != nil {
			return answer{}, fmt.Errorf("the answer's data cannot be read: %w", err)
		}
	} else {
		around["data"] = e.Data
	}
	a := answer{total: number(around, "total"), size: number(around, "page_size", "pageSize")}
	for _, name := range []string{"list", "resultList", "data"} {
		switch v := around[name]; {
		case v.Kind() == '[':
			var err error
			a.rows, err = rowsOf(v)
			return a, err
		case v.Kind() == 'n' && a.total == 0:
			return a, nil
		}
	}
	return answer{}, errors.New("the answer has no list")
}

// mostRows bounds the rows of an answer: servers that give more than was asked
// for give all they have, and a row takes many times its bytes here.
const mostRows = 50_000

// rowsOf takes a list apart.
func rowsOf(list jsontext.Value) (rows []jsontext.Value, err error) {
	dec := jsontext.NewDecoder(bytes.NewReader(list))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		if len(rows) == mostRows {
			return nil, fmt.Errorf("the answer has more than %d rows", mostRows)
		}
		rows = append(rows, v.Clone())
	}
	return rows, nil
}

// number returns the first of these that is a whole number, or unknown.
func number(members map[string]jsontext.Value, names ...string) int {
	for _, name := range names {
		if n, err := strconv.Atoi(plain(members[name])); err == nil && n >= 0 {
			return n
		}
	}
	return unknown
}
