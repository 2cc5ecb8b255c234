package signalbox

// ChecksumSum adds b as 16-bit words to acc, the running sum of an Internet checksum (RFC 1071). b is of at most 64 KiB; where another
// part follows it, its length is even.
func ChecksumSum(b []byte, acc uint32) uint32 {
	for len(b) >= 2 {
		acc += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

// ChecksumFold makes 16 bits of a running sum: all ones, where the sum holds a checksum and this is right. Its complement is the
// checksum of what holds none.
func ChecksumFold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}
