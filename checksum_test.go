package signalbox_test

import (
	"testing"

	"github.com/signalbox-sdn/signalbox"
)

func TestChecksumIsAsInRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7} // its section 3
	if got := signalbox.ChecksumFold(signalbox.ChecksumSum(b, 0)); got != 0xddf2 {
		t.Errorf("%#x", got)
	}
	if got := signalbox.ChecksumFold(signalbox.ChecksumSum(b[4:], signalbox.ChecksumSum(b[:4], 0))); got != 0xddf2 {
		t.Errorf("in two parts %#x", got)
	}
	if got := signalbox.ChecksumFold(signalbox.ChecksumSum([]byte{1, 2, 3}, 0)); got != 0x0402 {
		t.Errorf("of three bytes %#x", got)
	}
}
