package flowpipeline

// Table 74, received: who made that?
//
// Told:    Zone, and what conntrack knows there.
// Leaves:  Inbound; from membership to rule, whether it is Allowed.
// Onwards: by membership to admitted. Dropped is what conntrack can make nothing of. Its flows are those of sent, the other way
//          round: judge.
