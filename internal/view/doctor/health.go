package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatecast/gatecast"
)

// checkHealth tells what the server says of itself.
func (d *Doctor) checkHealth(context.Context) []gatecast.Finding {
	return judgeHealth(d.Health.Reasons(), d.Health.Warnings())
}

func judgeHealth(reasons, warnings []string) (found []gatecast.Finding) {
	for _, why := range reasons {
		found = append(found, bad("ready", part(why), "the server is not ready: "+why, "it answers 503 until that is mended; see the finding about it here, and the server's log"))
	}
	for _, what := range warnings {
		remedy := "see the server's log"
		if strings.Contains(what, "hole") {
			remedy = `restore a backup or send the lost events again, and check the disk; to end the warning: stop, set "accepted": true in DATA/journal/holes.json, start`
		}
		found = append(found, warn("ready", part(what), what, remedy))
	}
	if found == nil {
		found = append(found, ok("ready", "", "the server is ready, and warns of nothing"))
	}
	return found
}

// part is which part of the server a reason or a warning begins with.
func part(text string) string {
	name, _, _ := strings.Cut(text, ":")
	return name
}

// checkQuarantine counts what nobody has looked at.
func (d *Doctor) checkQuarantine(ctx context.Context) []gatecast.Finding {
	const most = 1000
	kept, err := d.Quarantine.List(ctx, "", most)
	if err != nil {
		return []gatecast.Finding{warn("quarantine", "", "the quarantine cannot be read: "+err.Error(), "look at the server's log and at the disk")}
	}
	return []gatecast.Finding{judgeQuarantine(kept, len(kept) == most)}
}

func judgeQuarantine(kept []gatecast.Quarantined, more bool) gatecast.Finding {
	if len(kept) == 0 {
		return ok("quarantine", "", "everything was understood")
	}
	count := fmt.Sprint(len(kept))
	if more {
		count = "at least " + count
	}
	newest := kept[0]
	text := fmt.Sprintf("%s messages could not be understood; the latest came from %s at %s: %s", count, newest.Source, moment(newest.At), newest.Reason)
	return warn("quarantine", "", text, "look at them: gatecast quarantine list; then inject or drop each")
}

// checkSubscriptions looks for those that wait.
func (d *Doctor) checkSubscriptions(context.Context) []gatecast.Finding {
	subs := d.Subscriptions.Subscriptions()
	var found []gatecast.Finding
	for _, sub := range subs {
		found = append(found, judgeSubscription(sub, d.Deliveries.State(sub.ID))...)
	}
	if found == nil {
		found = append(found, ok("subscriptions", "", fmt.Sprintf("%d subscriptions, and none waits", len(subs))))
	}
	return found
}

func judgeSubscription(sub *gatecast.Subscription, st gatecast.SubscriptionState) (found []gatecast.Finding) {
	see := "gatecast sub show " + sub.ID
	switch {
	case sub.Paused != "":
		found = append(found, note("subscriptions", sub.ID, "it is paused: "+sub.Paused, "go on with it: gatecast sub resume "+sub.ID))
	case st.Status == gatecast.SubscriptionDegraded:
		text := fmt.Sprintf("its endpoint keeps failing, and %d positions wait: %s", st.LagEvents, st.Reason)
		found = append(found, warn("subscriptions", sub.ID, text, "mend the receiver, or tell its owner; it catches up by itself; see: "+see))
	case st.Status == gatecast.SubscriptionRetrying:
		found = append(found, note("subscriptions", sub.ID, "its endpoint failed a moment ago, and is tried again: "+st.Reason, "nothing yet; see: "+see))
	}
	if st.Dead > 0 {
		text := fmt.Sprintf("%d events were refused by its receiver and set aside", st.Dead)
		found = append(found, warn("subscriptions", sub.ID, text, "see why: gatecast sub dead "+sub.ID+"; then resend or discard them"))
	}
	return found
}

// moment is a time for people.
func moment(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST") }
