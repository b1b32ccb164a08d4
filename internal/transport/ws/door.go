package ws

import "sync"

// door counts who is inside, and can be shut: nobody comes in after that, so
// that it makes sense to wait until everybody has left.
type door struct {
	// mu guards the flags, and that nobody comes in after shut was set.
	mu     sync.Mutex
	shut   bool
	over   bool // whoever is inside is to leave at once
	inside sync.WaitGroup
}

// enter reports whether the door was open. Who came in must call leave.
func (d *door) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return false
	}
	d.inside.Add(1)
	return true
}

func (d *door) leave() { d.inside.Done() }

// with runs f in a goroutine that counts as inside. The caller is inside.
func (d *door) with(f func()) { d.inside.Go(f) }

func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
}

func (d *door) closed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut
}

// end shuts the door and has everybody leave at once.
func (d *door) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut, d.over = true, true
}

func (d *door) ended() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.over
}

// wait returns once the door is closed behind the last one.
func (d *door) wait() { d.inside.Wait() }
