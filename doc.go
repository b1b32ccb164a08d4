// Package gatecast is the vocabulary of the product: what an event is, how it
// is ordered, who may receive it, and how an error names its remedy.
//
// It owns words, never behaviour that needs a file, a socket or a clock of its
// own, and it imports nothing but the standard library. Start at [Event].
package gatecast
