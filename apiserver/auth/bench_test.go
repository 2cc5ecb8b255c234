package auth

import "testing"

// BenchmarkAuthenticate is what a request pays at the door: nothing to look up, and a token that is remembered.
func BenchmarkAuthenticate(b *testing.B) {
	k := newKeystone(b)
	k.knows("a", "member")
	door := k.door(b, Settings{})
	r := request("a")
	b.Run("noauth", func(b *testing.B) {
		for b.Loop() {
			_, _ = NoAuth{Project: "p"}.Authenticate(r)
		}
	})
	b.Run("keystone", func(b *testing.B) {
		for b.Loop() {
			if _, err := door.Authenticate(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
