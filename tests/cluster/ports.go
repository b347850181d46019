package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports come from below the range that Linux and macOS give to outgoing connections: a port from
// within it could be taken by any client while its API server is being restarted.
const (
	lowestPort  = 20000
	highestPort = 32000
)

// freePorts returns distinct loopback ports that nobody listens on. Another process may still take
// one before it is used, which is why a start is tried more than once.
func freePorts(count int) ([]int, error) {
	var ports []int
	for range 1000 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		listener, err := net.Listen("tcp", loopback(port))
		if err != nil {
			continue
		}
		// Held until all are chosen, which keeps them distinct.
		defer listener.Close()
		if ports = append(ports, port); len(ports) == count {
			return ports, nil
		}
	}
	return nil, errors.New("found no free ports on loopback; end the clusters that you no longer need")
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
