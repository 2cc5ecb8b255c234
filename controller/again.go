package controller

import "time"

// Some of what a switch is told takes effect some time after it has said that it is done: packets are forwarded by its
// cache of old flows for some milliseconds more. What those packets undo is done again.

// Things are done again after the first of these, then after twice as long, and so on to the last.
const (
	firstRepeat = beat
	lastRepeat  = time.Second
)

// repetition is what is to be done again, until it says that it is of no use any more.
type repetition struct {
	do    func() bool
	at    time.Time
	after time.Duration // since it was done last
}

// repeat has something done again that was done now. do is called by the loop.
func (l *loop) repeat(do func() bool) {
	l.again = append(l.again, repetition{do, time.Now().Add(firstRepeat), firstRepeat})
}

// repeatDue does what is due.
func (l *loop) repeatDue(now time.Time) {
	var left []repetition
	for _, r := range l.again {
		if now.Before(r.at) {
			left = append(left, r)
			continue
		}
		if r.after *= 2; r.do() && r.after <= lastRepeat {
			r.at = now.Add(r.after)
			left = append(left, r)
		}
	}
	l.again = left
}
