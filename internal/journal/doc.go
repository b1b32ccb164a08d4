// Package journal is the durable log: the one truth that every reader follows.
//
// It owns the order of events (Seq), their identity inside a window (dedup by
// event ID), and the promise that an acknowledged event is on disk. It never
// knows who reads, never interprets an event's Data, and never hides a loss: a
// hole is reported by Holes, Healthy, the log and a metric.
//
// [Open] runs it on NATS JetStream, embedded or external; [OpenMem] is the twin
// in memory for tests. Start reading at Journal.Append, then committer.commit.
package journal
