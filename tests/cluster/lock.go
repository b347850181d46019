package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// lock is held by this process until it ends, however it ends.
//
// It is a POSIX record lock because the kernel then tells who holds it: a pid read from a file could
// by now belong to an innocent process.
type lock struct{ file *os.File }

// tryLock takes the file's lock; holder is the process that has it already, or 0 when it is ours.
func tryLock(path string) (held lock, holder int, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return lock{}, 0, err
	}
	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &whole)
	if err == nil {
		return lock{file}, 0, nil
	}
	defer file.Close()
	if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) {
		return lock{}, 0, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	holder, err = holderOf(file)
	return lock{}, holder, err
}

// lockHolder is the process that holds the file's lock, or 0. It leaves the lock alone.
func lockHolder(path string) (int, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	return holderOf(file)
}

func holderOf(file *os.File) (int, error) {
	whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &whole); err != nil {
		return 0, fmt.Errorf("cannot ask who holds %s: %w", file.Name(), err)
	}
	if whole.Type == syscall.F_UNLCK {
		return 0, nil
	}
	return int(whole.Pid), nil
}

// waitLock takes the file's lock as soon as it is free, and says once whom it waits for.
func waitLock(ctx context.Context, path, purpose string) (lock, error) {
	for told := false; ; {
		held, holder, err := tryLock(path)
		if err != nil {
			return lock{}, err
		}
		if held.file != nil {
			return held, nil
		}
		if !told {
			say("waiting for process %d, which %s", holder, purpose)
			told = true
		}
		select {
		case <-ctx.Done():
			return lock{}, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// sign writes our pid into the locked file, for people who look.
func (l lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(io.NewOffsetWriter(l.file, 0), "%d\n", os.Getpid())
	return err
}

func (l lock) release() { l.file.Close() }
