package ledger

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatecast/gatecast"
	"pgregory.net/rapid"
)

// TestNoTwoNodesLeadAndNothingCommittedIsUndone lets three nodes lead, save, be
// cut off and come back in any order.
func TestNoTwoNodesLeadAndNothingCommittedIsUndone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		wrong := "" // rapid must not stop a bubble
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 5, 40).Draw(rt, "steps")
		synctest.Test(t, func(t *testing.T) { wrong = play(t, steps) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// step is something that happens to a node.
type step struct {
	node int
	what string
}

func drawStep(t *rapid.T) step {
	return step{
		rapid.IntRange(0, 2).Draw(t, "node"),
		rapid.SampledFrom([]string{"save", "flush", "cut", "unsaid", "mend", "wait", "wait long"}).Draw(t, "what"),
	}
}

// play returns what went wrong, if anything.
func play(t *testing.T, steps []step) (wrong string) {
	m := &Mem{}
	nodes := []*node{newNode(t, m), newNode(t, m), newNode(t, m)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, n := range nodes {
		go n.deliver(ctx)
	}
	head, committed := gatecast.Seq(0), gatecast.Seq(0)
	for _, s := range steps {
		n := nodes[s.node]
		switch s.what {
		case "save":
			head++
			n.Save(gate, at(head))
		case "flush":
			committed = max(committed, n.flushed(ctx))
		case "cut":
			n.line.cut.Store(true)
		case "unsaid":
			n.line.unsaid.Store(true)
		case "mend":
			n.mend()
		case "wait":
			time.Sleep(time.Second)
		case "wait long":
			time.Sleep(20 * time.Second)
		}
		synctest.Wait()
		if got := headOf(onDisk(m), gate); got < committed {
			return fmt.Sprintf("%d is on disk, %d was committed", got, committed)
		}
		if n := leaders(nodes); n > 1 {
			return fmt.Sprintf("%d nodes lead", n)
		}
	}
	for _, n := range nodes {
		n.mend()
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	if n := leaders(nodes); n != 1 {
		return fmt.Sprintf("in the end %d nodes lead", n)
	}
	for _, n := range nodes {
		if got, want := headOf(n.Store, gate), headOf(onDisk(m), gate); got != want {
			return fmt.Sprintf("a node knows of %d, %d is on disk", got, want)
		}
		if err := n.Healthy(); err != nil {
			return fmt.Sprintf("a node is not healthy again: %v", err)
		}
	}
	return ""
}

// flushed is what a node has committed after a flush; 0 if that failed.
func (n *node) flushed(ctx context.Context) gatecast.Seq {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	head := headOf(n.Store, gate)
	if n.Flush(ctx) != nil {
		return 0
	}
	return head
}

func (n *node) mend() {
	n.line.cut.Store(false)
	n.line.unsaid.Store(false)
}

func leaders(nodes []*node) (count int) {
	for _, n := range nodes {
		if n.lease.leads() {
			count++
		}
	}
	return count
}

// deliver is what an engine does: it leads whenever it can.
func (n *node) deliver(ctx context.Context) {
	for n.Lead(ctx) == nil {
		select {
		case <-n.Lost():
		case <-ctx.Done():
			return
		}
	}
}
