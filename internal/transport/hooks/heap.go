package hooks

import "container/heap"

// bySeq is a heap of entries, the oldest first.
type bySeq []*entry

func (h *bySeq) push(e *entry) { heap.Push(h, e) }
func (h *bySeq) pop() *entry   { return heap.Pop(h).(*entry) }

func (h bySeq) Len() int           { return len(h) }
func (h bySeq) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h bySeq) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *bySeq) Push(x any)        { *h = append(*h, x.(*entry)) }
func (h *bySeq) Pop() any          { return cut((*[]*entry)(h)) }

// byDue is a heap of entries, the next due first.
type byDue []*entry

func (h *byDue) push(e *entry) { heap.Push(h, e) }
func (h *byDue) pop() *entry   { return heap.Pop(h).(*entry) }

func (h byDue) Len() int           { return len(h) }
func (h byDue) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h byDue) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byDue) Push(x any)        { *h = append(*h, x.(*entry)) }
func (h *byDue) Pop() any          { return cut((*[]*entry)(h)) }

// cut takes the last entry off, without keeping it alive.
func cut(h *[]*entry) *entry {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
