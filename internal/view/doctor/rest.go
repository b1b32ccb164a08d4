package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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

// The lists of records, by the style of the interface.
const (
	recordsV4 = "/api/v5/record/list" // of the style v4, for all its name
	recordsV5 = "/sl/api/v5/records"
)

// checkREST asks a source what it has, as a look at it does, and whether it
// understands times as we do.
func (d *Doctor) checkREST(ctx context.Context, src *gatecast.Source) []gatecast.Finding {
	s := src.Settings
	now := d.opts.Now()
	zone, err := d.zoneOf(s)
	if err != nil {
		return []gatecast.Finding{bad("zone", src.Name, "its zone is not known here: "+err.Error(), "correct it: gatecast source update "+src.Name+" --rest-zone ZONE")}
	}
	rows, p, err := d.ask(ctx, s, widest(now, zone))
	if p.err != nil || err != nil && p.status == 0 {
		p.err = cmp.Or(p.err, err)
		return []gatecast.Finding{judgeReach(src.Name, s.REST.URL, p)}
	}
	found := []gatecast.Finding{judgeReach(src.Name, s.REST.URL, p)}
	if p.dated {
		found = append(found, judgeSkew(src.Name, p.ahead))
	}
	found = append(found, judgeAnswer(src.Name, s, err))
	if err != nil {
		return found
	}
	return append(found, d.checkTimes(ctx, src, zone, rows))
}

// zoneOf is in which zone a source's lists are asked.
func (d *Doctor) zoneOf(s gatecast.SourceSettings) (*time.Location, error) {
	return time.LoadLocation(cmp.Or(s.REST.Zone, d.opts.Config.Ingest.TimeZone))
}

// judgeAnswer says whether a signed question was answered.
func judgeAnswer(name string, s gatecast.SourceSettings, err error) gatecast.Finding {
	if err == nil {
		return ok("signature", name, "its REST interface ("+string(s.REST.Style)+") accepts the signature")
	}
	text := "its REST interface (" + string(s.REST.Style) + ") does not answer as it should: " + clean(err.Error())
	var r *refused
	if errors.As(err, &r) && r.said != "" {
		return bad("signature", name, text, refusedRemedy(name, r.said))
	}
	other := gatecast.RESTv4
	if s.REST.Style == gatecast.RESTv4 {
		other = gatecast.RESTv5
	}
	return bad("signature", name, text, fmt.Sprintf("check that rest.url is that of the REST interface, and try the other style: gatecast source update %s --rest-style %s", name, other))
}

// signed makes a question to a source's REST interface. Both interfaces know
// the signature in the place that the style says.
func (d *Doctor) signed(ctx context.Context, s gatecast.SourceSettings, path string, q url.Values) (*http.Request, error) {
	address, err := url.Parse(s.REST.URL)
	if err != nil {
		return nil, fmt.Errorf("understand rest.url: %w", bare(err))
	}
	stamp := strconv.FormatInt(d.opts.Now().UnixMilli(), 10)
	sign := senselink.Sign(stamp, s.AppSecret)
	if s.REST.Style == gatecast.RESTv4 {
		q.Set("app_key", s.AppKey)
		q.Set("timestamp", stamp)
		q.Set("sign", sign)
	}
	address.Path, address.RawPath = strings.TrimSuffix(address.Path, "/")+path, ""
	address.RawQuery = q.Encode()
	req := (&http.Request{Method: http.MethodGet, URL: address, Host: address.Host, Header: make(http.Header)}).WithContext(ctx)
	if s.REST.Style != gatecast.RESTv4 {
		req.Header.Set("appKey", s.AppKey)
		req.Header.Set("timestamp", stamp)
		req.Header.Set("sign", sign)
	}
	req.Header.Set("Accept", "application/json")
	return req, nil
}

// window asks a list for what is between two times.
func window(from, to time.Time, zone *time.Location, size int) url.Values {
	return url.Values{
		"dateTimeFrom": {from.In(zone).Format(time.DateTime)},
		"dateTimeTo":   {to.In(zone).Format(time.DateTime)},
		"order":        {"desc"}, "page": {"1"}, "size": {strconv.Itoa(size)},
	}
}

// refused is an answer that is none.
type refused struct {
	status int
	said   string // in the server's words; empty if it has none
}

func (r *refused) Error() string {
	if r.said != "" {
		return "it answers " + r.said
	}
	return fmt.Sprintf("it answers HTTP %d %s", r.status, http.StatusText(r.status))
}

// row is what is looked at of a record.
type row struct {
	time time.Time // zero: it does not say so as a moment
	zone string    // of its device
}

// ask asks for records. An error with a status in p is the server's no.
func (d *Doctor) ask(ctx context.Context, s gatecast.SourceSettings, q url.Values) ([]row, probed, error) {
	path := recordsV5
	if s.REST.Style == gatecast.RESTv4 {
		path = recordsV4
	}
	req, err := d.signed(ctx, s, path, q)
	if err != nil {
		return nil, probed{}, err
	}
	p := d.probe(req, true)
	if p.err != nil {
		return nil, p, p.err
	}
	rows, err := readRows(p.status, p.body)
	return rows, p, err
}

// answer is as much of a list as is looked at. Servers do not agree on the rest.
type answer struct {
	Code    jsontext.Value `json:"code"`
	Message string         `json:"message"`
	Desc    string         `json:"desc"`
	Data    jsontext.Value `json:"data"`
}

func readRows(status int, body []byte) ([]row, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, &refused{status: status, said: ""}
	}
	code := strings.Trim(string(a.Code), `"`)
	if status != http.StatusOK || code != "" && code != "200" {
		return nil, &refused{status, strings.TrimSpace(code + " " + a.Message + " " + a.Desc)}
	}
	var in struct {
		List       []map[string]jsontext.Value `json:"list"`
		ResultList []map[string]jsontext.Value `json:"resultList"`
	}
	if err := json.Unmarshal(a.Data, &in); err != nil {
		return nil, errors.New("its list cannot be read")
	}
	var rows []row
	for _, m := range append(in.List, in.ResultList...) {
		rows = append(rows, row{time: unixOf(m["signTime"], m["sign_time"]), zone: textOf(m["signTimeZone"], m["sign_time_zone"])})
	}
	return rows, nil
}

// unixOf reads Unix seconds, or milliseconds, from the first that is there.
func unixOf(values ...jsontext.Value) time.Time {
	for _, v := range values {
		n, err := strconv.ParseInt(string(bytes.Trim(v, `"`)), 10, 64)
		if err == nil && n > 0 {
			if n > 1e11 {
				return time.UnixMilli(n)
			}
			return time.Unix(n, 0)
		}
	}
	return time.Time{}
}

func textOf(values ...jsontext.Value) string {
	for _, v := range values {
		if v.Kind() == '"' {
			text, _ := jsontext.AppendUnquote(nil, v) // the parser has accepted it
			return string(text)
		}
	}
	return ""
}
