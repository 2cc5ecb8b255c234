package flowpipeline

// Table 76, admitted: do the receiver's groups allow it?
//
// Told:    Allowed, Zone, and what conntrack knows.
// Leaves:  no Allowed any more.
// Onwards: to output, and conntrack remembers who has made the connection. Dropped is what is not allowed. Its flows are
//          those of permitted: pass.
