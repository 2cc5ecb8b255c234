package flow

// RateLimit is a meter of a switch: what passes more often than PacketsPerSecond, beyond a Burst, is dropped.
type RateLimit struct {
	ID               uint32 // 1 or more
	PacketsPerSecond uint32
	Burst            uint32 // packets
}
