package app

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// heap is a heap that the test fills.
type heap struct {
	mu    sync.Mutex // guards the fields below
	now   memory
	freed int
}

func (h *heap) read() memory {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *heap) waste(bytes uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.wasted = bytes
}

func (h *heap) times() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.freed
}

func (h *heap) use(bytes uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now.allocated += bytes
	h.now.wasted += bytes
}

func (h *heap) giveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.freed++
	h.now.wasted = 1 << 20 // a little is always left
}

func watchHeap(t *testing.T, h *heap, during func()) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			thrift(ctx, h.read, h.giveBack)
		}()
		synctest.Wait()
		during()
		cancel()
		<-done
	})
}

// pass lets a time pass, and whatever is due in it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestMemoryIsGivenBackWhenAStormIsOver(t *testing.T) {
	h := &heap{}
	watchHeap(t, h, func() {
		for range 4 {
			h.use(50 << 20)
			pass(thriftEvery)
		}
		if h.times() != 0 {
			t.Error("memory was given back in the middle of a storm")
		}
		pass(thriftEvery)
		if h.times() != 1 {
			t.Errorf("memory was given back %d times after the storm, want once", h.times())
		}
	})
}

func TestWhatTheRuntimeDoesNotGiveUpIsNotAskedForAgain(t *testing.T) {
	h := &heap{}
	watchHeap(t, h, func() {
		h.use(100 << 20)
		pass(2 * thriftEvery)
		h.waste(60 << 20) // in pieces too small to be given back
		pass(time.Hour)
		if h.times() != 1 {
			t.Errorf("it was tried %d times in an hour, want once", h.times())
		}
	})
}

func TestLittleWasteIsLeftAlone(t *testing.T) {
	h := &heap{}
	watchHeap(t, h, func() {
		h.use(thriftGain - 1)
		pass(time.Hour)
		if h.times() != 0 {
			t.Error("memory was given back for next to nothing")
		}
	})
}

func TestTheRuntimeTellsWhatIsAllocatedAndWasted(t *testing.T) {
	before := readMemory()
	kept := make([]byte, 32<<20)
	after := readMemory()
	if after.allocated-before.allocated < uint64(len(kept)) {
		t.Errorf("%d bytes more are allocated, want at least %d", after.allocated-before.allocated, len(kept))
	}
	kept = nil
	_ = kept
	giveBackMemory()
	if now := readMemory(); now.wasted > 32<<20 {
		t.Errorf("%d bytes are wasted after all was given back", now.wasted)
	}
}
