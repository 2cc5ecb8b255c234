package flowpipeline

// Table 70, receiving: is what this port receives to be watched?
//
// Told:    TargetPort.
// Leaves:  Zone, which is the receiver's from here on.
// Onwards: to delivery; of a port whose security is off, to output. Its flows are made with sending's: watchPort.
