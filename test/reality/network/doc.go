// Package network makes a small network out of the network namespaces of one Linux machine: cables between
// namespaces, servers that answer inside them, and connections that are opened for real.
//
// A namespace here has no name that others could meet, and no file: it lives as long as the process that made
// it. So two runs beside each other never collide, and nothing is left behind, however a run ends.
package network
