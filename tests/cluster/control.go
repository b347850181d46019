package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// watchLifeline ends the returned context when the input ends: whoever holds its other end, such as a
// test, takes the control plane along however it dies. The lines are commands, see obey.
func watchLifeline(ctx context.Context, input io.Reader) (context.Context, <-chan string) {
	ctx, cancel := context.WithCancel(ctx)
	// Room for more commands than anyone queues, since one under way must not keep the end of the
	// input from being seen.
	lines := make(chan string, 64)
	go func() {
		defer cancel()
		scanner := bufio.NewScanner(input)
		for scanner.Scan() {
			if line := strings.TrimSpace(scanner.Text()); line != "" {
				lines <- line
			}
		}
	}()
	return ctx, lines
}

// event answers one command, as one line of JSON.
type event struct {
	Event     string `json:"event"`
	Component string `json:"component,omitempty"`
	Millis    int64  `json:"millis"`
	// Command and Error are there when Event is "failed".
	Command string `json:"command,omitempty"`
	Error   string `json:"error,omitempty"`
}

// obey carries out one line, VERB-COMPONENT [INDEX]: for example `restart-apiserver 1`.
func (s *serving) obey(ctx context.Context, line string) event {
	begin := time.Now()
	done, name, err := s.carryOut(ctx, line)
	answer := event{Event: done, Component: name, Millis: time.Since(begin).Milliseconds()}
	if err != nil {
		answer.Event, answer.Command, answer.Error = "failed", line, err.Error()
	}
	return answer
}

func (s *serving) carryOut(ctx context.Context, line string) (done, name string, err error) {
	verb, target, found := strings.Cut(line, "-")
	if !found {
		return "", "", fmt.Errorf("a command is VERB-COMPONENT [INDEX], with one of stop, start and restart, and one of %s", s.names())
	}
	c, err := s.component(target)
	if err != nil {
		return "", "", err
	}
	switch verb {
	case "stop":
		c.running.kill()
		return "stopped", c.name, nil
	case "start":
		if !c.running.isGone() {
			return "", c.name, fmt.Errorf("%s runs already; `restart-%s` kills it first", c.name, target)
		}
		return "started", c.name, s.resume(ctx, c)
	case "restart":
		c.running.kill()
		return "restarted", c.name, s.resume(ctx, c)
	default:
		return "", c.name, fmt.Errorf("no command %q; give one of stop, start and restart", verb)
	}
}

// resume starts a component that was killed, on the ports that it had.
func (s *serving) resume(ctx context.Context, c *component) error {
	if err := s.startProcess(c); err != nil {
		return err
	}
	return c.waitReady(ctx)
}

// component finds "scheduler", "apiserver" or "apiserver 1".
func (s *serving) component(target string) (*component, error) {
	name, number, numberGiven := strings.Cut(target, " ")
	index := 0
	if numberGiven {
		var err error
		if index, err = strconv.Atoi(strings.TrimSpace(number)); err != nil {
			return nil, fmt.Errorf("the index %q is not a number", number)
		}
	}
	name = numbered(name, index)
	for _, c := range s.components {
		if c.name == name {
			return c, nil
		}
	}
	return nil, errors.New("there is no " + name + "; give one of " + s.names())
}

func (s *serving) names() string {
	var names []string
	for _, c := range s.components {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}
