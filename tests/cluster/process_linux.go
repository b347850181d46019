package main

import "syscall"

// ownProcessGroup keeps a terminal's Ctrl-C for us alone, so that we end the children in order; and
// the kernel ends them should we be killed.
func ownProcessGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
