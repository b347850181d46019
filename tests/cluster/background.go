package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// upCommand starts a control plane in the background, or finds it running.
func upCommand(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	dir := dirFlag(flags)
	wanted := sizeFlags(flags)
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
	if err := wanted.check(); err != nil {
		return err
	}
	found, err := up(ctx, l, *wanted)
	if err != nil {
		return err
	}
	fmt.Println(found.Kubeconfig)
	return nil
}

func up(ctx context.Context, l layout, wanted size) (description, error) {
	holder, err := lockHolder(l.lock())
	if err != nil {
		return description{}, err
	}
	if holder != 0 {
		return join(ctx, l, wanted)
	}
	// Here, where a person sees the progress, and not in the background.
	if _, err := resolve(ctx); err != nil {
		return description{}, err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return description{}, err
	}
	// Left over where a supervisor was killed.
	if err := os.RemoveAll(l.description()); err != nil {
		return description{}, err
	}
	return launch(ctx, l, wanted)
}

// join waits for the control plane that another process started here, and adds nodes that it lacks.
func join(ctx context.Context, l layout, wanted size) (description, error) {
	var found description
	err := poll(ctx, startPatience, func(context.Context) (err error) {
		found, err = l.describe()
		return err
	})
	if err != nil {
		return found, err
	}
	ca, err := loadAuthority(l)
	if err != nil {
		return found, err
	}
	admin, err := newClient(ca)
	if err != nil {
		return found, err
	}
	say("already up, Kubernetes %s at %s", found.Kubernetes, found.Server)
	return found, ensureNodes(ctx, admin, found.Server, wanted.nodes)
}

func launch(ctx context.Context, l layout, wanted size) (description, error) {
	self, err := os.Executable()
	if err != nil {
		return description{}, err
	}
	log, err := os.Create(l.supervisorLog())
	if err != nil {
		return description{}, err
	}
	defer log.Close()
	arguments := []string{"serve", "--dir", l.dir, "--nodes", strconv.Itoa(wanted.nodes), "--apiservers", strconv.Itoa(wanted.apiservers)}
	for _, flag := range wanted.flags {
		arguments = append(arguments, "--apiserver-flag", flag)
	}
	supervisor := exec.Command(self, arguments...)
	supervisor.Stdout, supervisor.Stderr = log, log
	supervisor.SysProcAttr = detached()
	if err := supervisor.Start(); err != nil {
		return description{}, err
	}
	ended := make(chan struct{})
	go func() {
		supervisor.Wait()
		close(ended)
	}()

	for {
		select {
		case <-ended:
			return description{}, fmt.Errorf("the control plane did not start; %s says:\n%s", l.supervisorLog(), contentOf(l.supervisorLog()))
		case <-ctx.Done():
			supervisor.Process.Signal(syscall.SIGTERM)
			<-ended
			return description{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if found, err := l.describe(); err == nil {
			say("up after %.1f s, Kubernetes %s at %s", float64(found.StartupMillis)/1000, found.Kubernetes, found.Server)
			return found, nil
		}
	}
}

func contentOf(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// downCommand ends the control plane of a folder, if there is one.
func downCommand(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("down", flag.ContinueOnError)
	dir := dirFlag(flags)
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
	return down(ctx, l)
}

func down(ctx context.Context, l layout) error {
	// The kernel names the holder of the lock, so this can be no other process's pid.
	holder, err := lockHolder(l.lock())
	if err != nil {
		return err
	}
	if holder == 0 {
		say("nothing is up in %s", l.dir)
		return nil
	}
	if err := syscall.Kill(holder, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot end process %d: %w", holder, err)
	}
	// The supervisor lets go of its lock after the last of its processes is gone.
	err = poll(ctx, 30*time.Second, func(context.Context) error {
		now, err := lockHolder(l.lock())
		if err == nil && now == holder {
			err = fmt.Errorf("process %d has not ended; look at %s, then end it by hand", holder, l.supervisorLog())
		}
		return err
	})
	if err != nil {
		return err
	}
	say("ended")
	return nil
}
