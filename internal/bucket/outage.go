package bucket

import "sync/atomic"

// Outage is why the last try failed; nothing while tries succeed. The zero value
// is none.
type Outage struct{ cause atomic.Pointer[error] }

// Begin takes note of a failure, and reports whether it is the first of its
// outage.
func (o *Outage) Begin(err error) bool { return o.cause.Swap(&err) == nil }

// End takes note that a try has succeeded, and reports whether there was an
// outage.
func (o *Outage) End() bool { return o.cause.Swap(nil) != nil }

// Err returns the failure; nil if there is none.
func (o *Outage) Err() error {
	if err := o.cause.Load(); err != nil {
		return *err
	}
	return nil
}
