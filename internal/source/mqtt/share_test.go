package mqtt

import "testing"

func TestNoUserTakesAllTheMemory(t *testing.T) {
	b := &budget{max: 100, each: 50}
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

// A message that is never taken in would be sent for ever.
func TestAUsersShareIsEnoughForAMessage(t *testing.T) {
	s := New(Parts{}, Options{Limits: Limits{Memory: 1 << 20, Packet: 1 << 20}})
	if !s.budget.take("a", 1<<20) {
		t.Error("the largest message does not fit")
	}
}
