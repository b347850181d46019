package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
)

// process is one running program. It is ended by its own pid only.
type process struct {
	command *exec.Cmd
	// gone is closed once the process has been waited for.
	gone chan struct{}
	// ending is set before we kill it, to tell that from a death of its own.
	ending atomic.Bool
	// logPath from logStart on is what this process wrote; a restart appends.
	logPath  string
	logStart int64
}

// startProcess runs a program with its output in a log. died is called when it ends uninvited.
func startProcess(path string, arguments, environment []string, logPath string, died func(*process)) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	logStart, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}

	p := &process{gone: make(chan struct{}), logPath: logPath, logStart: logStart}
	p.command = exec.Command(path, arguments...)
	p.command.Env = append(os.Environ(), environment...)
	p.command.Stdout = log
	p.command.Stderr = log
	p.command.SysProcAttr = ownProcessGroup()
	if err := onSpawningThread(p.command.Start); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", path, err)
	}
	go func() {
		p.command.Wait()
		close(p.gone)
		if !p.ending.Load() {
			died(p)
		}
	}()
	return p, nil
}

// kill ends the process and returns when it is gone, its ports free again. It is SIGKILL because
// nothing here has anything worth saving, and a polite API server takes 5 to 10 seconds.
func (p *process) kill() {
	p.ending.Store(true)
	// The only possible error says that it is gone already.
	_ = p.command.Process.Kill()
	<-p.gone
}

func (p *process) isGone() bool {
	select {
	case <-p.gone:
		return true
	default:
		return false
	}
}

// lost describes a death that nobody wanted.
func (p *process) lost(name string) error {
	// A neighbour may have taken the port between our choice and its use.
	if bytes.Contains(p.output(), []byte("address already in use")) {
		return fmt.Errorf("%s: %w", name, errPortTaken)
	}
	return fmt.Errorf("%s ended by itself (%s); the end of %s:\n%s", name, p.command.ProcessState, p.logPath, p.tail(20))
}

// tail is the last lines that this process wrote.
func (p *process) tail(lines int) string {
	all := strings.Split(strings.TrimRight(string(p.output()), "\n"), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

func (p *process) output() []byte {
	content, err := os.ReadFile(p.logPath)
	if err != nil {
		return []byte(err.Error())
	}
	return content[min(p.logStart, int64(len(content))):]
}

// spawning carries work to the one thread that starts processes.
//
// Linux sends the death signal when the *thread* that started a child ends, not the process, and Go
// ends threads as it likes. This thread lives as long as we do.
var spawning = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range work {
			do()
		}
	}()
	return work
}()

func onSpawningThread(start func() error) error {
	result := make(chan error)
	spawning <- func() { result <- start() }
	return <-result
}

// detached makes a process outlive its parent and its terminal.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
