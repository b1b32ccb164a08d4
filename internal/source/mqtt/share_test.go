package mqtt

import "testing"

func TestNoUserTakesAllTheMemory(t *testing.T) {
	b := &budget{max: 100}
	if !b.take("a", 50) || b.take("a", 1) || !b.take("", 30) || !b.take("b", 20) || b.take("b", 1) {
		t.Errorf("%+v", b)
	}
	b.give("a", 50)
	b.give("", 30)
	b.give("b", 20)
	if b.spent() != 0 || len(b.by) != 0 {
		t.Errorf("%+v", b)
	}
}
