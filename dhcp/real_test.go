package dhcp

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realFrames are requests that real clients sent, by name. The tests of real clients write them with -capture.
func realFrames(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captured frames: %v", err)
	}
	frames := make(map[string][]byte)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		frame, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		frames[strings.TrimSuffix(filepath.Base(path), ".hex")] = frame
	}
	return frames
}

func TestWhatRealClientsSayIsUnderstood(t *testing.T) {
	for name, frame := range realFrames(t) {
		reply, outcome := Answer(frame, []Facts{fact()})
		_, says, _ := strings.Cut(name, "-")
		want := map[string]Outcome{"discover": Offered, "select": Acked, "renew": Acked, "reboot": Acked, "release": Released}
		if outcome != want[says] {
			t.Errorf("%s: %v", name, outcome)
		}
		if reply != nil {
			parsed(t, reply)
		}
	}
}
