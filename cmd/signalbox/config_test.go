package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/cobra"
)

// Security groups are enforced unless the file, the environment or a flag says otherwise, the later winning.
func TestSecurityGroupsAreEnforcedUnlessSaid(t *testing.T) {
	off := filepath.Join(t.TempDir(), "off.yaml")
	if err := os.WriteFile(off, []byte("enable_security_group: false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		fact        string
		file        string
		environment string
		flags       []string
		want        bool
	}{
		{fact: "nothing is said", want: true},
		{fact: "the file", file: off},
		{fact: "the environment", environment: "false"},
		{fact: "a flag", flags: []string{"--enable-security-group=false"}},
		{fact: "the environment before the file", file: off, environment: "true", want: true},
		{fact: "a flag before both", file: off, environment: "false", flags: []string{"--enable-security-group=true"}, want: true},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			if tt.environment != "" {
				t.Setenv("SIGNALBOX_ENABLE_SECURITY_GROUP", tt.environment)
			}
			cmd := &cobra.Command{}
			addFlags(cmd, controllerSettings)
			if tt.file != "" {
				tt.flags = append(tt.flags, "--config="+tt.file)
			}
			if err := cmd.ParseFlags(tt.flags); err != nil {
				t.Fatal(err)
			}
			c, _, err := load(cmd)
			if err != nil || c.EnableSecurityGroup != tt.want {
				t.Errorf("%v, %v", c.EnableSecurityGroup, err)
			}
		})
	}
}
