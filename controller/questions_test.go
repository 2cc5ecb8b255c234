package controller

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/signalbox-sdn/signalbox"
)

func hopTo(n int) hop {
	return hop{net1, netip.AddrFrom4([4]byte{203, 0, byte(n >> 8), byte(n)})}
}

func one(n int) uuid.UUID { return uuid.UUID{0: 'x', 14: byte(n >> 8), 15: byte(n)} }

func TestOneQuestionOneAnswerAndThePacketGoesOn(t *testing.T) {
	q, now := newQuestions[string](), time.Now()
	if v, _ := q.want(hopTo(1), one(1), one(7), "first", now); v != holdAndAsk {
		t.Fatalf("verdict %d", v)
	}
	if v, _ := q.want(hopTo(1), one(1), one(8), "of another host", now); v != hold {
		t.Fatalf("verdict %d", v)
	}
	if v, _ := q.want(hopTo(1), one(1), one(7), "second", now); v != holdLatest {
		t.Fatalf("verdict %d", v)
	}
	packets, asked := q.answer(hopTo(1), mac1, now.Add(time.Millisecond))
	if !asked || len(packets) != 2 || packets[0] == "first" || packets[1] == "first" {
		t.Fatalf("%v go on, asked %v", packets, asked)
	}
	if v, mac := q.want(hopTo(1), one(1), one(7), "third", now.Add(time.Second)); v != pass || mac != mac1 {
		t.Fatalf("verdict %d, %s", v, mac)
	}
	if again, late := q.due(now.Add(2 * time.Second)); len(again)+len(late) != 0 {
		t.Fatalf("asks %v again, gives up %v", again, late)
	}
}

func TestAnAnswerThatNobodyAskedForIsNotAsked(t *testing.T) {
	q := newQuestions[string]()
	if packets, asked := q.answer(hopTo(1), mac1, time.Now()); asked || packets != nil {
		t.Fatalf("%v, %v", packets, asked)
	}
}

func TestWithoutAnAnswerThreeAreAskedAndThePacketIsGivenUp(t *testing.T) {
	q, start := newQuestions[string](), time.Now()
	q.want(hopTo(1), one(1), one(7), "packet", start)
	asked := 1
	for at := beat; at < 10*time.Second; at += beat {
		again, late := q.due(start.Add(at))
		asked += len(again)
		if len(late) > 0 {
			if at != askFor || asked != 3 || late[0] != "packet" {
				t.Fatalf("after %v and %d questions gives up %v", at, asked, late)
			}
			return
		}
	}
	t.Fatal("waits for ever")
}

func TestOneRouterCannotTakeAllQuestions(t *testing.T) {
	q, now := newQuestions[int](), time.Now()
	taken := 0
	for i := range 2 * maxOfRouter {
		if v, _ := q.want(hopTo(i), one(1), one(7), i, now); v == holdAndAsk {
			taken++
		}
	}
	if taken != maxOfRouter {
		t.Fatalf("one router asks %d questions", taken)
	}
	if v, _ := q.want(hopTo(9999), one(2), one(7), 0, now); v != holdAndAsk {
		t.Fatalf("another router's packet gets %d", v)
	}
}

// Whatever comes in whatever order: no hop is asked for twice within a second, the bounds hold, and every packet that
// was held goes on, is replaced or is given up, once.
func TestNoStormAndNoPacketTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, now := newQuestions[int](), time.Unix(0, 0)
		lastAsked, waits := map[hop]time.Time{}, map[int]hop{}
		ask := func(at hop) {
			if last, ok := lastAsked[at]; ok && now.Sub(last) < askEvery {
				t.Fatalf("%v is asked again after %v", at, now.Sub(last))
			}
			lastAsked[at] = now
		}
		leave := func(p int) {
			if _, ok := waits[p]; !ok {
				t.Fatalf("packet %d comes out, and did not wait", p)
			}
			delete(waits, p)
		}
		hosts := map[int]uuid.UUID{}
		for p := range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "ms")) * time.Millisecond)
			at := hopTo(rapid.IntRange(0, 3).Draw(t, "hop"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				host := one(rapid.IntRange(0, 1).Draw(t, "host"))
				v, mac := q.want(at, one(100), host, p, now)
				if (v == pass) != (mac != signalbox.MAC{}) {
					t.Fatalf("verdict %d with %s", v, mac)
				}
				if v == holdLatest {
					for other, was := range waits {
						if was == at && hosts[other] == host {
							leave(other)
							break
						}
					}
				}
				if v == holdAndAsk {
					ask(at)
				}
				if v == holdAndAsk || v == hold || v == holdLatest {
					waits[p], hosts[p] = at, host
				}
			case 2:
				packets, _ := q.answer(at, mac1, now)
				for _, p := range packets {
					leave(p)
				}
			case 3:
				again, late := q.due(now)
				for at := range again {
					ask(at)
				}
				for _, p := range late {
					leave(p)
				}
			}
			if len(q.open) > maxQuestions || q.of[one(100)] != len(q.open) {
				t.Fatalf("%d questions, counted %d", len(q.open), q.of[one(100)])
			}
		}
		now = now.Add(askFor)
		_, late := q.due(now)
		for _, p := range late {
			leave(p)
		}
		if len(waits) > 0 {
			t.Fatalf("%v never came out", waits)
		}
	})
}

func FuzzClaimIn(f *testing.F) {
	f.Add(gratuitousARP(mac1, [4]byte{203, 0, 113, 1}))
	f.Add(arpRequest(signalbox.Broadcast, mac1, [4]byte{203, 0, 113, 1}, [4]byte{203, 0, 113, 2}))
	answer := arpRequest(mac1, mac1, [4]byte{203, 0, 113, 1}, [4]byte{203, 0, 113, 2})
	answer[21] = arpAnswers
	f.Add(answer)
	f.Add(answer[:41])
	f.Fuzz(func(t *testing.T, frame []byte) {
		addr, mac, ok := claimIn(frame)
		if ok && (!addr.Is4() || mac.IsMulticast() || mac == signalbox.MAC{} || addr.IsMulticast() || addr.IsUnspecified()) {
			t.Fatalf("%x claims %s for %s", frame, addr, mac)
		}
	})
}

func TestClaims(t *testing.T) {
	answer := arpRequest(mac1, mac1, [4]byte{203, 0, 113, 1}, [4]byte{203, 0, 113, 2})
	answer[21] = arpAnswers
	group := append([]byte{}, answer...)
	group[22] |= 1
	for fact, tt := range map[string]struct {
		frame []byte
		want  bool
	}{
		"answer":      {answer, true},
		"announces":   {gratuitousARP(mac1, [4]byte{203, 0, 113, 1}), true},
		"asks":        {arpRequest(signalbox.Broadcast, mac1, [4]byte{203, 0, 113, 1}, [4]byte{203, 0, 113, 2}), false},
		"a_group":     {group, false},
		"of_no_host":  {gratuitousARP(mac1, [4]byte{}), false},
		"cut_short":   {answer[:41], false},
		"something":   {udpFrame(40), false},
		"nothing":     {nil, false},
		"of_loopback": {gratuitousARP(mac1, [4]byte{127, 0, 0, 1}), false},
	} {
		if addr, mac, ok := claimIn(tt.frame); ok != tt.want || ok && (addr.String() != "203.0.113.1" || mac != mac1) {
			t.Errorf("%s: %s, %s, %v", fact, addr, mac, ok)
		}
	}
}
