package nat

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func id(n int) uuid.UUID { return uuid.UUID{14: byte(n >> 8), 15: byte(n)} }

func hostWith(n int, state State, networks ...int) Host {
	h := Host{ID: id(n), State: state, Networks: map[uuid.UUID]bool{}}
	for _, network := range networks {
		h.Networks[id(network)] = true
	}
	return h
}

func TestPlace(t *testing.T) {
	for _, tt := range []struct {
		fact     string
		gateways []Gateway
		hosts    []Host
		want     map[int]int // router -> host
	}{
		{"new_gateways_spread", []Gateway{{id(1), id(9), id(0)}, {id(2), id(9), id(0)}, {id(3), id(9), id(0)}},
			[]Host{hostWith(1, Present, 9), hostWith(2, Present, 9)}, map[int]int{1: 1, 2: 2, 3: 1}},
		{"a_gateway_stays", []Gateway{{id(1), id(9), id(2)}, {id(2), id(9), id(2)}},
			[]Host{hostWith(1, Present, 9), hostWith(2, Present, 9)}, nil},
		{"a_lost_host_is_taken_over_from", []Gateway{{id(1), id(9), id(2)}, {id(2), id(9), id(1)}},
			[]Host{hostWith(1, Present, 9), hostWith(2, Leaving, 9)}, map[int]int{1: 1}},
		{"a_host_that_is_away_keeps", []Gateway{{id(1), id(9), id(2)}},
			[]Host{hostWith(1, Present, 9), hostWith(2, Waiting, 9)}, nil},
		{"a_host_that_is_away_gets_nothing", []Gateway{{id(1), id(9), id(0)}},
			[]Host{hostWith(1, Present, 8), hostWith(2, Waiting, 9)}, nil},
		{"a_host_that_is_awaited_has_its_share_kept", []Gateway{{id(1), id(9), id(0)}, {id(2), id(9), id(0)}, {id(3), id(9), id(0)}},
			[]Host{hostWith(1, Awaited, 9), hostWith(2, Present, 9)}, map[int]int{2: 2}},
		{"what_was_at_a_lost_host_waits_for_nobody", []Gateway{{id(1), id(9), id(3)}, {id(2), id(9), id(3)}},
			[]Host{hostWith(1, Awaited, 9), hostWith(2, Present, 9), hostWith(3, Leaving, 9)}, map[int]int{1: 2, 2: 2}},
		{"a_host_that_is_awaited_keeps", []Gateway{{id(1), id(9), id(2)}},
			[]Host{hostWith(1, Present, 9), hostWith(2, Awaited, 9)}, nil},
		{"a_lost_mapping_moves", []Gateway{{id(1), id(9), id(2)}},
			[]Host{hostWith(1, Present, 9), hostWith(2, Present, 8)}, map[int]int{1: 1}},
		{"nobody_has_the_network", []Gateway{{id(1), id(9), id(0)}},
			[]Host{hostWith(1, Present, 8), hostWith(2, Present)}, nil},
		{"it_stays_where_nobody_is_better", []Gateway{{id(1), id(9), id(2)}},
			[]Host{hostWith(1, Present, 8), hostWith(2, Leaving, 9)}, nil},
		{"an_unknown_host_is_taken_over_from", []Gateway{{id(1), id(9), id(5)}},
			[]Host{hostWith(1, Present, 9)}, map[int]int{1: 1}},
		{"load_is_of_all_networks", []Gateway{{id(1), id(8), id(1)}, {id(2), id(9), id(0)}},
			[]Host{hostWith(1, Present, 8, 9), hostWith(2, Present, 9)}, map[int]int{2: 2}},
		{"no_hosts", []Gateway{{id(1), id(9), id(0)}}, nil, nil},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			want := map[uuid.UUID]uuid.UUID{}
			for router, host := range tt.want {
				want[id(router)] = id(host)
			}
			if got := Place(tt.gateways, tt.hosts); !maps.Equal(got, want) {
				t.Errorf("moves %v, want %v", got, want)
			}
		})
	}
}

// cloud draws hosts in any state and gateways at any of them, at none, or at one that is gone.
func cloud(t *rapid.T) ([]Gateway, []Host) {
	networks := rapid.IntRange(1, 3).Draw(t, "networks")
	hosts := make([]Host, rapid.IntRange(0, 6).Draw(t, "hosts"))
	for i := range hosts {
		hosts[i] = hostWith(100+i, State(rapid.IntRange(0, 3).Draw(t, "state")))
		for n := range networks {
			if rapid.Bool().Draw(t, "has") {
				hosts[i].Networks[id(n)] = true
			}
		}
	}
	gateways := make([]Gateway, rapid.IntRange(0, 20).Draw(t, "gateways"))
	for i := range gateways {
		gateways[i] = Gateway{Router: id(1000 + i), Network: id(rapid.IntRange(0, networks-1).Draw(t, "network"))}
		if at := rapid.IntRange(-1, len(hosts)).Draw(t, "at"); at >= 0 {
			gateways[i].Host = id(100 + at)
		}
	}
	return gateways, hosts
}

func apply(gateways []Gateway, moves map[uuid.UUID]uuid.UUID) []Gateway {
	gateways = slices.Clone(gateways)
	for i := range gateways {
		if to, ok := moves[gateways[i].Router]; ok {
			gateways[i].Host = to
		}
	}
	return gateways
}

func TestPlacedOnceNothingMovesAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gateways, hosts := cloud(t)
		if again := Place(apply(gateways, Place(gateways, hosts)), hosts); len(again) > 0 {
			t.Fatalf("moves again: %v", again)
		}
	})
}

func TestOnlyGatewaysWithoutAGoodHostMoveAndOnlyToGoodOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gateways, hosts := cloud(t)
		at := map[uuid.UUID]Host{}
		for _, h := range hosts {
			at[h.ID] = h
		}
		moves := Place(gateways, hosts)
		for _, g := range gateways {
			was := at[g.Host]
			keeps := was.State != Leaving && was.Networks[g.Network]
			takes := func(s State) bool {
				return slices.ContainsFunc(hosts, func(h Host) bool { return h.State == s && h.Networks[g.Network] })
			}
			takers, awaited := takes(Present), g.Host == uuid.Nil && takes(Awaited)
			to, moved := moves[g.Router]
			if moved != (!keeps && takers) && (moved || !awaited) {
				t.Fatalf("%v moved: %v; its host keeps it: %v, another could take it: %v", g, moved, keeps, takers)
			}
			if moved && (at[to].State != Present || !at[to].Networks[g.Network]) {
				t.Fatalf("%v moved to %v", g, at[to])
			}
		}
	})
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gateways, hosts := cloud(t)
		want := Place(gateways, hosts)
		got := Place(rapid.Permutation(gateways).Draw(t, "gateways"), rapid.Permutation(hosts).Draw(t, "hosts"))
		if !maps.Equal(got, want) {
			t.Fatalf("%v in another order: %v", want, got)
		}
	})
}

// spread is the greatest and the smallest number of gateways of the hosts that are present.
func spread(gateways []Gateway, hosts []Host) (most, least int) {
	load := map[uuid.UUID]int{}
	for _, g := range gateways {
		load[g.Host]++
	}
	least = len(gateways)
	for _, h := range hosts {
		if h.State == Present {
			most, least = max(most, load[h.ID]), min(least, load[h.ID])
		}
	}
	return most, least
}

func TestWhoComesFirstDoesNotMatterWhileTheOthersAreAwaited(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := make([]Host, rapid.IntRange(1, 8).Draw(t, "hosts"))
		coming := make([]int, len(hosts))
		for i := range hosts {
			hosts[i], coming[i] = hostWith(100+i, Present, 9), i
		}
		gateways := make([]Gateway, rapid.IntRange(0, 40).Draw(t, "gateways"))
		for i := range gateways {
			gateways[i] = Gateway{Router: id(1000 + i), Network: id(9), Host: id(rapid.SampledFrom([]int{0, 0, 100}).Draw(t, "at"))}
		}
		want := apply(gateways, Place(gateways, hosts))
		for i := range hosts {
			hosts[i].State = Awaited
		}
		for _, i := range rapid.Permutation(coming).Draw(t, "coming") {
			hosts[i].State = Present
			gateways = apply(gateways, Place(gateways, hosts))
		}
		if !slices.Equal(gateways, want) {
			t.Fatalf("placed one by one %v, all at once %v", gateways, want)
		}
	})
}

func TestEqualHostsShareEvenlyWhileTheyAreLostAndDrained(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := make([]Host, rapid.IntRange(1, 8).Draw(t, "hosts"))
		for i := range hosts {
			hosts[i] = hostWith(100+i, Present, 9)
		}
		gateways := make([]Gateway, rapid.IntRange(0, 40).Draw(t, "gateways"))
		for i := range gateways {
			gateways[i] = Gateway{Router: id(1000 + i), Network: id(9)}
		}
		for left := len(hosts); left > 0; left-- {
			gateways = apply(gateways, Place(gateways, hosts))
			if most, least := spread(gateways, hosts); most > least+1 {
				t.Fatalf("%d gateways at one host and %d at another", most, least)
			}
			for _, g := range gateways {
				if i := slices.IndexFunc(hosts, func(h Host) bool { return h.ID == g.Host }); hosts[i].State != Present {
					t.Fatalf("%v is at a host that is to be empty", g)
				}
			}
			hosts[rapid.IntRange(0, len(hosts)-1).Draw(t, "leaving")].State = Leaving
			if !slices.ContainsFunc(hosts, func(h Host) bool { return h.State == Present }) {
				return
			}
		}
	})
}
