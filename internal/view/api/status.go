package api

import (
	"context"

	"github.com/gatecast/gatecast"
)

type statusOutput struct {
	Body struct {
		Version     string       `json:"version"`
		Epoch       string       `json:"epoch" doc:"Names the journal; a cursor from another epoch means nothing in it"`
		First       gatecast.Seq `json:"first" doc:"Oldest event still held; last+1 when there is none"`
		Last        gatecast.Seq `json:"last" doc:"Newest event stored"`
		Events      uint64       `json:"events" doc:"How many are held"`
		Bytes       uint64       `json:"bytes" doc:"Space they take"`
		Ready       bool         `json:"ready"`
		Reasons     []string     `json:"reasons" nullable:"false" doc:"Why it is not ready"`
		Warnings    []string     `json:"warnings" nullable:"false" doc:"What somebody should look at"`
		Connections int          `json:"connections" doc:"Of apps, on this node"`
		Uptime      int64        `json:"uptime_seconds"`
	}
}

func (s *server) status(ctx context.Context, _ *struct{}) (*statusOutput, error) {
	st, err := s.opts.Status.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := &statusOutput{}
	b := &out.Body
	b.Version, b.Ready, b.Connections = st.Version, st.Ready, st.Connections
	b.Epoch, b.First, b.Last = st.Extent.Epoch, st.Extent.First, st.Extent.Last
	b.Events, b.Bytes = st.Extent.Events, st.Extent.Bytes
	b.Reasons = append([]string{}, st.Reasons...)
	b.Warnings = append([]string{}, st.Warnings...)
	b.Uptime = int64(st.Uptime.Seconds())
	return out, nil
}
