package testbed

import (
	"testing"
	"time"
)

func TestEchoesUnderWayDoNotCount(t *testing.T) {
	const out = `PING 10.0.0.4 (10.0.0.4) 56(84) bytes of data.
[1000.000000] 64 bytes from 10.0.0.4: icmp_seq=1 ttl=64 time=0.4 ms
[1000.500000] 64 bytes from 10.0.0.4: icmp_seq=3 ttl=64 time=0.4 ms
`
	for _, c := range []struct {
		end     time.Time
		silence time.Duration
		count   int
	}{
		{time.Unix(1000, 6e8), 500 * time.Millisecond, 3}, // the second is lost, of the fourth and fifth nobody knows yet
		{time.Unix(1002, 0), 1500 * time.Millisecond, 5},  // nothing comes any more
	} {
		if silence, count := heard(out, 5, time.Unix(1000, 0), c.end); silence != c.silence || count != c.count {
			t.Errorf("at %v: %v, %d echoes", c.end.Unix(), silence, count)
		}
	}
	if _, count := heard("", 2, time.Unix(1000, 0), time.Unix(1000, 5e8)); count != 2 {
		t.Errorf("of two echoes that nobody answers %d count", count)
	}
}
