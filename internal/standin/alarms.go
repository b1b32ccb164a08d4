package standin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gatecast/gatecast"
)

// alarms is the list of alarms: one row for each, in its latest state.
func (s *Server) alarms(q question) (reply, error) {
	p, err := readPaging(q.query)
	if err != nil {
		return reply{}, err
	}
	sp, err := readSpan(q.query, "dateFrom", "dateTo", time.DateOnly, s.opts.Zone)
	if err != nil {
		return reply{}, err
	}
	if !sp.to.IsZero() {
		sp.to = sp.to.AddDate(0, 0, 1).Add(-time.Second) // the day itself is included
	}
	wanted, err := readWanted(q)
	if err != nil {
		return reply{}, err
	}
	states, short := s.find(func(e *Event) bool { return e.Kind == gatecast.Alarm && sp.holds(e.At) })
	all := wanted.of(latest(states))
	total := len(all)
	rows := make([]json.RawMessage, 0, p.size)
	for _, e := range p.cut(all, short) {
		rows = append(rows, e.Data)
	}
	return asJSON(struct {
		Code      int               `json:"code"`
		Message   string            `json:"message"`
		Total     int               `json:"total"`
		Size      int               `json:"size"`
		Data      []json.RawMessage `json:"data"`
		PageNum   int               `json:"page_num"`
		PageSize  int               `json:"page_size"`
		TotalPage int               `json:"total_page"`
	}{http.StatusOK, "OK", total, len(rows), rows, p.page, p.size, p.pages(total)}), nil
}

// latest returns the newest state of each alarm.
func latest(states []Event) []Event {
	at := make(map[int64]int)
	var rows []Event
	for _, e := range states {
		if i, ok := at[e.ID]; ok {
			rows[i] = e
			continue
		}
		at[e.ID] = len(rows)
		rows = append(rows, e)
	}
	return rows
}

// wanted is what the rows of a list must have, by field; 0 is anything.
type wanted map[string]int64

func readWanted(q question) (wanted, error) {
	w := make(wanted)
	for _, name := range []string{"deviceId", "code", "status"} {
		text := q.query.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, gatecast.Errorf(gatecast.Invalid, "%s is no whole number", name)
		}
		w[name] = n
	}
	return w, nil
}

func (w wanted) of(all []Event) []Event {
	var rows []Event
	for _, e := range all {
		o, err := readObject(e.Data)
		if err != nil {
			continue // not possible: add has read it
		}
		fits := true
		for name, n := range w {
			fits = fits && (n == 0 || o.number(name) == n)
		}
		if fits {
			rows = append(rows, e)
		}
	}
	return rows
}
