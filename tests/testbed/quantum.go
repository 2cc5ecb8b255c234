package testbed

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Quantum runs the quantum command in the lab, as somebody does who has told it by OS_URL where the API is, and gives
// what it printed on its standard output.
func (s *Signalbox) Quantum(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(s.Binary), "quantum"), args...)
	cmd.Env = append(os.Environ(), "OS_URL="+s.API.base, "OS_AUTH_TYPE=none")
	return finish(cmd, s.lab.Net.Start)
}

// Shown is the value of a field in a table that quantum printed of one object; "" if there is none.
func Shown(table, field string) string {
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) == 4 && strings.TrimSpace(cells[1]) == field {
			return strings.TrimSpace(cells[2])
		}
	}
	return ""
}
