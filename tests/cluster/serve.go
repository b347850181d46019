package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

var errPortTaken = errors.New("a port was taken by another process in the moment before we used it; try again")

// How long a component may take to be ready. A start takes seconds; the rest is for busy machines.
const startPatience = 2 * time.Minute

// serving is a control plane together with its processes.
type serving struct {
	*controlPlane
	// deaths are those that we did not cause.
	deaths chan error
}

func serveCommand(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	dir := dirFlag(flags)
	size := sizeFlags(flags)
	lifeline := flags.Bool("lifeline", false, "end when standard input does, and obey the lines that come from it")
	operands, err := parse(flags, arguments)
	if err != nil {
		return err
	}
	if err := refuseOperands(flags, operands); err != nil {
		return err
	}
	l, err := dir()
	if err != nil {
		return err
	}
	if err := size.check(); err != nil {
		return err
	}
	var lines <-chan string
	if *lifeline {
		ctx, lines = watchLifeline(ctx, os.Stdin)
	}
	err = serve(ctx, l, *size, lines)
	if errors.Is(err, context.Canceled) {
		// Being told to end is how a control plane ends well.
		return nil
	}
	return err
}

// size is how large a control plane is to be, and what is unusual about it.
type size struct {
	nodes, apiservers int
	// flags are given to every API server, after its own.
	flags []string
}

func sizeFlags(flags *flag.FlagSet) *size {
	wanted := &size{}
	flags.IntVar(&wanted.nodes, "nodes", 0, "nodes that kwok plays")
	flags.IntVar(&wanted.apiservers, "apiservers", 1, "API servers on the one etcd")
	flags.Func("apiserver-flag", "a flag more for every API server; may be given several times", func(text string) error {
		if !strings.HasPrefix(text, "--") {
			return fmt.Errorf("%q is no flag; give one such as --disable-admission-plugins=PodSecurity", text)
		}
		wanted.flags = append(wanted.flags, text)
		return nil
	})
	return wanted
}

func (s size) check() error {
	if s.nodes < 0 {
		return fmt.Errorf("--nodes is %d; give 0 or more", s.nodes)
	}
	if s.apiservers < 1 || s.apiservers > 2 {
		return fmt.Errorf("--apiservers is %d; give 1 or 2", s.apiservers)
	}
	return nil
}

// serve runs a control plane until the context ends or a process dies.
func serve(ctx context.Context, l layout, wanted size, lines <-chan string) error {
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	held, holder, err := tryLock(l.lock())
	// Whoever lets go of a lifeline and begins anew in the same folder need not know when the first has ended.
	for begin := time.Now(); err == nil && holder != 0 && lines != nil && time.Since(begin) < time.Minute; {
		time.Sleep(100 * time.Millisecond)
		held, holder, err = tryLock(l.lock())
	}
	if err != nil {
		return err
	}
	if holder != 0 {
		return fmt.Errorf("process %d runs a control plane in %s already; choose another folder, or end it with `cluster down --dir %s`", holder, l.dir, l.dir)
	}
	defer held.release()
	if err := held.sign(); err != nil {
		return err
	}
	t, err := resolve(ctx)
	if err != nil {
		return err
	}

	begin := time.Now()
	s, err := start(ctx, l, t, wanted)
	if err != nil {
		return err
	}
	if lines != nil {
		// Nobody can start it again, and etcd keeps 128 MB for each: a whole suite would fill a small disk.
		defer os.RemoveAll(l.etcd())
	}
	defer s.end()
	ready := s.describe(time.Since(begin))
	if err := l.publish(ready); err != nil {
		return err
	}
	defer os.Remove(l.description())
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(ready); err != nil {
		return fmt.Errorf("nobody reads standard output: %w", err)
	}

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case death := <-s.deaths:
			return death
		case line := <-lines:
			if err := answers.Encode(s.obey(ctx, line)); err != nil {
				return fmt.Errorf("nobody reads standard output: %w", err)
			}
		}
	}
}

// start tries again with other ports where a port was taken under our hands.
func start(ctx context.Context, l layout, t tools, wanted size) (*serving, error) {
	const tries = 3
	for try := 1; ; try++ {
		s, err := startOnce(ctx, l, t, wanted)
		if err == nil || try == tries || !errors.Is(err, errPortTaken) {
			return s, err
		}
		say("%v", err)
	}
}

func startOnce(ctx context.Context, l layout, t tools, wanted size) (*serving, error) {
	plane, err := design(l, t, wanted)
	if err != nil {
		return nil, err
	}
	s := &serving{plane, make(chan error, len(plane.components))}
	if err := s.startAll(ctx, wanted.nodes); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// startAll brings up etcd, then the API servers, then all that only talks to them.
func (s *serving) startAll(ctx context.Context, nodes int) error {
	firstClient := 1 + len(s.servers)
	for _, wave := range [][]*component{
		s.components[:1],
		s.components[1:firstClient],
		s.components[firstClient:],
	} {
		for _, c := range wave {
			if err := s.startProcess(c); err != nil {
				return err
			}
		}
		for _, c := range wave {
			if err := c.waitReady(ctx); err != nil {
				return err
			}
		}
	}
	return ensureNodes(ctx, s.client, s.servers[0], nodes)
}

func (s *serving) startProcess(c *component) error {
	running, err := startProcess(c.path, c.arguments, c.environment, s.layout.log(c.name), func(p *process) {
		s.deaths <- p.lost(c.name)
	})
	c.running = running
	return err
}

// waitReady ends early when the process does.
func (c *component) waitReady(ctx context.Context) error {
	p := c.running
	err := poll(ctx, startPatience, func(ctx context.Context) error {
		if p.isGone() {
			return nil
		}
		limited, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return c.ready(limited)
	})
	if p.isGone() {
		return p.lost(c.name)
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s is not ready: %w; the end of %s:\n%s", c.name, err, p.logPath, p.tail(20))
	}
	return err
}

// end kills every process, those that depend on others first, and returns when all are gone.
func (s *serving) end() {
	for _, c := range slices.Backward(s.components) {
		if c.running != nil {
			c.running.kill()
		}
	}
}

func (s *serving) describe(startup time.Duration) description {
	return description{
		Kubeconfig:    s.layout.kubeconfig(),
		Server:        s.servers[0],
		Servers:       s.servers,
		Etcd:          s.store,
		Dir:           filepath.Clean(s.layout.dir),
		Kubectl:       s.tools.kubectl,
		Kubernetes:    s.tools.kubernetes,
		Supervisor:    os.Getpid(),
		StartupMillis: startup.Milliseconds(),
	}
}
