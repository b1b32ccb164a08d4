package wsconn

import "sync"

// Sizes of what is lent to a connection while it has something to do.
const (
	readSize   = 4 << 10  // one read(2)
	keepSize   = 64 << 10 // a larger message buffer is not kept
	recordSize = 16 << 10 // one TLS record
	batchSize  = 64       // frames in one writev(2)
)

// The pools are the one state that connections share: an idle connection
// owns no buffer, so that buffers follow activity, not the number of clients.
// Nothing in them outlives a call.
var (
	readBufs   = sync.Pool{New: func() any { return new([readSize]byte) }}
	recordBufs = sync.Pool{New: func() any { return new([recordSize]byte) }}
	receivers  = sync.Pool{New: func() any { return new(receiver) }}
	messages   = sync.Pool{New: func() any { return new([]byte) }}
	controls   = sync.Pool{New: func() any { return new(control) }}
	batches    = sync.Pool{New: func() any { return new(batch) }}
)

func borrowMessage() *[]byte { return messages.Get().(*[]byte) }

// returnMessage takes back a message buffer, but not a huge one.
func returnMessage(b *[]byte) {
	if b == nil || cap(*b) > keepSize {
		return
	}
	*b = (*b)[:0]
	messages.Put(b)
}
