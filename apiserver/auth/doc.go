// Package auth says who is asking. There are two ways: NoAuth believes what it is told, Keystone asks a Keystone.
// Both give a signalbox.Caller. What a caller may do is not decided here.
package auth
