package receiver

import "bytes"

// field is what stands before a message ID. Inside of a string of the data its
// quotation marks would be escaped.
var field = []byte(`"messageId":"`)

// numbers finds the events of a body by their message IDs, and how many there
// are that are not counted.
func (o *Options) numbers(body []byte) (events []uint64, foreign int) {
	for {
		_, rest, found := bytes.Cut(body, field)
		if !found {
			return events, foreign
		}
		id, after, _ := bytes.Cut(rest, []byte(`"`))
		if n, ok := o.Number(id); ok && n <= o.Most {
			events = append(events, n)
		} else {
			foreign++
		}
		body = after
	}
}

// trailing is the number that an ID ends with.
func trailing(id []byte) (n uint64, ok bool) {
	digits := id[len(bytes.TrimRight(id, "0123456789")):]
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		n = n*10 + uint64(c-'0')
	}
	return n, true
}
