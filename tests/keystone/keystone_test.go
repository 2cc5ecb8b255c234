//go:build integration

package keystone_test

import (
	"testing"

	"github.com/signalbox-sdn/signalbox/tests/keystone"
)

func TestKeystoneGivesTokensToWhomItKnows(t *testing.T) {
	s := keystone.Start(t)
	project := s.Project("demo")
	s.User("alice", "secret", project, "member")
	s.Endpoint("network", "http://127.0.0.1:9696")
	if token := s.Token("alice", "secret", "demo"); token == "" {
		t.Error("no token")
	}
}
