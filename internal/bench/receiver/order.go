package receiver

import "fmt"

// Disorder returns the first event that was accepted behind a later one of the
// same line, or nil. Where says which line an event stands in, such as that of
// its device, and at which place; it returns false for events that do not count.
// How often an event came before it was accepted, and how often after, does not
// matter.
func (k *Books) Disorder(where func(n uint64) (line string, place uint64, ok bool)) error {
	type stand struct{ place, event uint64 }
	last := make(map[string]stand)
	for _, n := range k.Order {
		line, place, ok := where(n)
		if !ok {
			continue
		}
		if before, known := last[line]; known && before.place > place {
			return fmt.Errorf("event %d, number %d of line %q, was accepted behind event %d, number %d", n, place, line, before.event, before.place)
		}
		last[line] = stand{place, n}
	}
	return nil
}
