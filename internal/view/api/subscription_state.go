package api

import (
	"time"

	"github.com/gatecast/gatecast"
)

// subscriptionState is how the deliveries of a subscription stand.
type subscriptionState struct {
	Status  gatecast.SubscriptionStatus `json:"status" doc:"active, retrying, degraded, paused"`
	Since   *time.Time                  `json:"since,omitempty" doc:"When status became so"`
	Reason  string                      `json:"reason,omitempty" doc:"Why it is retrying, degraded or paused"`
	NextTry *time.Time                  `json:"next_try,omitempty" doc:"When the endpoint is tried again; absent if it is not waiting"`
	ProgressState
	CountState
	Recent recentState `json:"recent" doc:"How the latest attempts went, up to some hundred of them"`
	Replay *replayBody `json:"replay,omitempty" doc:"The running one, or the last one"`
}

// ProgressState is how far it has got.
type ProgressState struct {
	Position   gatecast.Seq `json:"position" doc:"Everything up to here has been delivered, set aside or filtered out"`
	LagEvents  uint64       `json:"lag_events" doc:"Positions behind the newest event"`
	LagSeconds float64      `json:"lag_seconds" doc:"Age of the oldest event it has not been sent; 0 if there is none"`
	Through    *time.Time   `json:"complete_through,omitempty" doc:"Everything stored before has been delivered, set aside or filtered out"`
	Pending    int          `json:"pending" doc:"Events read and not yet delivered"`
	InFlight   int          `json:"in_flight" doc:"Requests at this moment"`
}

// CountState is what it came to, ever.
type CountState struct {
	Delivered   uint64 `json:"delivered" doc:"Events, ever"`
	Failed      uint64 `json:"failed" doc:"Attempts, ever"`
	DeadLetters int    `json:"dead_letters" doc:"Kept now"`
	Lost        uint64 `json:"lost" doc:"Positions that retention removed before they could be sent, ever"`
}

type recentState struct {
	Attempts  int     `json:"attempts"`
	Succeeded int     `json:"succeeded"`
	P50       float64 `json:"p50_ms" doc:"Of the answers' times"`
	P99       float64 `json:"p99_ms"`
}

func showState(st gatecast.SubscriptionState) subscriptionState {
	b := subscriptionState{
		Status: st.Status, Since: unlessZero(st.Since), Reason: st.Reason, NextTry: unlessZero(st.NextTry),
		ProgressState: ProgressState{
			Position: st.Position, LagEvents: st.LagEvents, LagSeconds: st.Lag.Round(time.Millisecond).Seconds(),
			Through: unlessZero(st.Through), Pending: st.Pending, InFlight: st.InFlight,
		},
		CountState: CountState{Delivered: st.Delivered, Failed: st.Failed, DeadLetters: st.Dead, Lost: st.Lost},
		Recent: recentState{
			Attempts: st.Recent.Attempts, Succeeded: st.Recent.Succeeded,
			P50: milliseconds(st.Recent.P50), P99: milliseconds(st.Recent.P99),
		},
	}
	if st.Replay != nil {
		r := showReplay(*st.Replay)
		b.Replay = &r
	}
	return b
}

// milliseconds is a duration with two decimals: what is faster is no answer
// over a network.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000
}
